-- The steps of a job's life (steps.py) on the server: each is one arrow of states.py, and a call does several at once.
--
-- A call is one statement: it takes its locks, does its steps, and is durable when it answers. So no lock ever waits
-- for a client, which may be asleep. Calls take turns (the first lock in perform), and every statement here sees what
-- was committed before it: READ COMMITTED, with functions that are VOLATILE.

-- Numbers of the two locks: one for a call's length, one held by whoever has the ledger alone.
CREATE OR REPLACE FUNCTION turn_lock() RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT 7378717155330818049';
CREATE OR REPLACE FUNCTION alone_lock() RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT 7378717155330818050';
-- How long nothing may be heard of a run before it counts as dead: longer than any outage that a run outlives.
CREATE OR REPLACE FUNCTION lease() RETURNS INTERVAL LANGUAGE sql IMMUTABLE AS $$SELECT INTERVAL '120 seconds'$$;

-- How long after its reservation a request may start, as another run sees it. A run itself keeps to less
-- (calls.SEND_WITHIN_S, from before it asked), so that one that slept is late by its own clock first.
CREATE OR REPLACE FUNCTION send_within() RETURNS INTERVAL LANGUAGE sql IMMUTABLE AS $$SELECT INTERVAL '8 seconds'$$;

-- Whether something was heard of a run lately enough.
CREATE OR REPLACE FUNCTION is_heard(asked_for TEXT, within INTERVAL) RETURNS BOOLEAN LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT 1 FROM writers WHERE run = asked_for AND seen_at > clock_timestamp() - within)
$$;

-- Whether a later epoch of its shard has begun: such a run only records what it has under way.
CREATE OR REPLACE FUNCTION is_superseded(asked_for TEXT) RETURNS BOOLEAN LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT 1 FROM runs r JOIN shards s ON s.id = r.shard WHERE r.run_id = asked_for AND s.epoch > r.epoch)
$$;

CREATE OR REPLACE FUNCTION is_on(asked_for TEXT) RETURNS BOOLEAN LANGUAGE sql VOLATILE AS $$
    SELECT is_heard(asked_for, lease()) AND NOT is_superseded(asked_for)
$$;

-- Seconds in which a run that is superseded may still start a request that it has reserved for; 0 where none is left.
CREATE OR REPLACE FUNCTION may_send_for(of_run BIGINT) RETURNS DOUBLE PRECISION LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN is_heard((SELECT run_id FROM runs WHERE id = of_run), lease()) THEN greatest(0, extract(EPOCH FROM
        (SELECT max(reserved_at) FROM attempts WHERE run = of_run AND money = 'reserved' AND submitted_at IS NULL)
        + send_within() - clock_timestamp())) ELSE 0 END
$$;

-- Whose hands a job is in: another run's that is on.
CREATE OR REPLACE FUNCTION with_another(holder BIGINT, own BIGINT) RETURNS BOOLEAN LANGUAGE sql VOLATILE AS $$
    SELECT holder IS DISTINCT FROM own AND EXISTS
        (SELECT 1 FROM runs r WHERE r.id = holder AND r.ended_at IS NULL AND is_on(r.run_id))
$$;

CREATE OR REPLACE FUNCTION scopes(batch BIGINT, day TEXT, simulated BOOLEAN) RETURNS TEXT[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY['batch:' || batch, realm || 'day:' || day, realm || 'month:' || left(day, 7), realm || 'total']
    FROM (SELECT CASE WHEN simulated THEN 'simulated:' ELSE '' END AS realm) AS told
$$;

-- A: the price is added to each sum only where that keeps it within its cap; else nothing is.
CREATE OR REPLACE FUNCTION step_reserve(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    run runs; job jobs; the_batch batches;
    price BIGINT := a ->> 'price_microusd';
    names TEXT[]; caps JSONB := a -> 'caps'; cap BIGINT; used BIGINT; seen BIGINT; made BIGINT;
BEGIN
    SELECT * INTO STRICT run FROM runs WHERE id = (a ->> 'run')::BIGINT;
    SELECT * INTO STRICT job FROM jobs WHERE key = decode(a ->> 'key', 'hex') FOR UPDATE;
    IF run.shard IS NOT NULL AND run.epoch != (SELECT epoch FROM shards WHERE id = run.shard) THEN
        RETURN '{"superseded": true}';
    END IF;
    IF run.ended_at IS NOT NULL THEN
        RETURN '{"taken_for_dead": true}';
    END IF;
    IF job.state IN ('buying', 'bought') THEN
        RETURN CASE WHEN with_another(job.holder, run.id) THEN '{"in_other_hands": true}'::JSONB ELSE 'null' END;
    END IF;
    IF job.state = 'stored' THEN
        RETURN 'null';
    END IF;
    IF job.state != 'planned' AND NOT (job.state = 'failed' AND job.passing) THEN
        SELECT seen_attempt INTO seen FROM placements WHERE id = (a ->> 'placement')::BIGINT;
        IF seen IS DISTINCT FROM coalesce((SELECT max(o.id) FROM attempts o WHERE o.job = job.id AND o.run != run.id), 0)
        THEN
            RETURN 'null';
        END IF;
    END IF;
    IF job.state = 'unknown' AND (caps ->> 'resend') IS NOT NULL AND NOT may_resend(job.id, run.batch, price, caps) THEN
        RETURN '{"held_for_person": true}';
    END IF;
    SELECT * INTO STRICT the_batch FROM batches WHERE id = run.batch;
    names := scopes(run.batch, a ->> 'day', the_batch.simulated);
    FOR n IN 1..4 LOOP
        cap := caps ->> (ARRAY['batch', 'daily', 'monthly', 'total'])[n];
        INSERT INTO sums AS s (scope, reserved) SELECT names[n], price WHERE cap IS NULL OR price <= cap
            ON CONFLICT (scope) DO UPDATE SET reserved = s.reserved + price
            WHERE cap IS NULL OR s.spent + s.unknown + s.reserved + price <= cap;
        IF NOT FOUND THEN
            UPDATE sums SET reserved = reserved - price WHERE scope = ANY (names[1:n - 1]);
            SELECT spent + unknown + reserved INTO used FROM sums WHERE scope = names[n];
            RETURN jsonb_build_object('scope', names[n], 'cap', cap, 'committed', coalesce(used, 0));
        END IF;
    END LOOP;
    INSERT INTO attempts (job, placement, run, taken_from, money, price_microusd, day, started_at, provider)
        VALUES (job.id, (a ->> 'placement')::BIGINT, run.id, job.state, 'reserved', price, a ->> 'day',
            (a ->> 'at')::DOUBLE PRECISION, a ->> 'provider') RETURNING id INTO made;
    UPDATE jobs SET state = 'buying', holder = run.id, settled = FALSE, attempts = attempts + 1 WHERE id = job.id;
    RETURN jsonb_build_object('attempt', made);
END $$;

-- Whether a lost answer may be asked for again by itself: once for each job, within the manifest's cap.
CREATE OR REPLACE FUNCTION may_resend(asked_for BIGINT, of_batch BIGINT, price BIGINT, caps JSONB) RETURNS BOOLEAN
LANGUAGE sql VOLATILE AS $$
    SELECT NOT EXISTS (SELECT 1 FROM attempts WHERE job = asked_for AND taken_from = 'unknown' AND money != 'released')
        AND price + (SELECT total(price_microusd) FROM attempts WHERE taken_from = 'unknown' AND money != 'released'
            AND run IN (SELECT id FROM runs WHERE batch = of_batch)) <= (caps ->> 'resend')::BIGINT
$$;

-- Move an attempt's price to what it has become, and write down how it ended. What was held as unknown only because its
-- run was taken for dead is still the run's to tell: what is paid is never refused.
CREATE OR REPLACE FUNCTION settle_attempt(a JSONB, became TEXT) RETURNS attempts LANGUAGE plpgsql AS $$
DECLARE
    was attempts; the_batch batches; moved INTEGER;
BEGIN
    SELECT * INTO STRICT was FROM attempts WHERE id = (a ->> 'attempt')::BIGINT FOR UPDATE;
    IF was.money != 'reserved' AND NOT (was.money = 'unknown' AND was.error_kind = 'interrupted'
            AND was.settled_at = was.ended_at) THEN
        RAISE EXCEPTION 'attempt % is % already', was.id, was.money;
    END IF;
    SELECT b.* INTO STRICT the_batch FROM runs r JOIN batches b ON b.id = r.batch WHERE r.id = was.run;
    UPDATE sums SET
        spent = spent + CASE WHEN became = 'spent' THEN was.price_microusd ELSE 0 END,
        unknown = unknown + CASE WHEN became = 'unknown' THEN was.price_microusd ELSE 0 END
            - CASE WHEN was.money = 'unknown' THEN was.price_microusd ELSE 0 END,
        reserved = reserved - CASE WHEN was.money = 'reserved' THEN was.price_microusd ELSE 0 END
    WHERE scope = ANY (scopes(the_batch.id, was.day, the_batch.simulated));
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved != 4 THEN
        RAISE EXCEPTION 'no sums for attempt %', was.id;
    END IF;
    IF was.money = 'unknown' THEN
        UPDATE jobs SET unknown_microusd = unknown_microusd - was.price_microusd WHERE id = was.job;
    END IF;
    UPDATE attempts SET polling_url = NULL, money = became, settled_at = (a ->> 'at')::DOUBLE PRECISION,
        ended_at = (a ->> 'at')::DOUBLE PRECISION, counted = coalesce((a ->> 'counted')::BOOLEAN, TRUE),
        error_kind = a ->> 'kind', error_message = nullif(left(a ->> 'message', 2000), ''),
        error_body = nullif(left(a ->> 'body', 2000), ''), request_id = nullif(a ->> 'request_id', '')
    WHERE id = was.id;
    RETURN was;
END $$;

-- Whether an attempt is still what its job waits for: no other has been made since.
CREATE OR REPLACE FUNCTION is_last(was attempts) RETURNS BOOLEAN LANGUAGE sql VOLATILE AS $$
    SELECT NOT EXISTS (SELECT 1 FROM attempts WHERE job = was.job AND id > was.id)
$$;

-- K: the provider has taken the task.
CREATE OR REPLACE FUNCTION step_submit(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
BEGIN
    UPDATE attempts SET task = a ->> 'task', polling_url = a ->> 'polling_url',
        submitted_at = (a ->> 'submitted_at')::DOUBLE PRECISION
    WHERE id = (a ->> 'attempt')::BIGINT AND money = 'reserved';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt % is settled already', a ->> 'attempt';
    END IF;
    RETURN 'null';
END $$;

-- B
CREATE OR REPLACE FUNCTION step_answer(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    was attempts := settle_attempt(a || jsonb_build_object('at', a -> 'bought_at'), 'spent');
BEGIN
    UPDATE jobs SET spend_microusd = spend_microusd + was.price_microusd WHERE id = was.job;
    IF is_last(was) THEN
        UPDATE jobs SET state = 'bought', url = a ->> 'url', bought_at = (a ->> 'bought_at')::DOUBLE PRECISION,
            deadline = (a ->> 'deadline')::DOUBLE PRECISION, request_id = nullif(a ->> 'request_id', ''),
            error_kind = NULL, error_message = NULL, passing = FALSE WHERE id = was.job;
        PERFORM forget_picture(was.job);
    END IF;
    RETURN 'null';
END $$;

CREATE OR REPLACE FUNCTION forget_picture(asked_for BIGINT) RETURNS VOID LANGUAGE sql AS $$
    UPDATE placements SET path = NULL WHERE job = asked_for AND path IS NOT NULL
        AND EXISTS (SELECT 1 FROM jobs WHERE id = asked_for AND sha256 IS NOT NULL);
    UPDATE jobs SET stored_at = NULL, stored_run = NULL, url_age_s = NULL, sha256 = NULL, bytes = NULL, width = NULL,
        height = NULL, format = NULL, verdict = NULL WHERE id = asked_for AND sha256 IS NOT NULL;
$$;

-- E
CREATE OR REPLACE FUNCTION step_release(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    was attempts := settle_attempt(a, 'released');
    fails BOOLEAN := (a ->> 'final')::BOOLEAN AND was.taken_from IN ('planned', 'failed');
BEGIN
    UPDATE jobs SET attempts = attempts - CASE WHEN (a ->> 'counted')::BOOLEAN THEN 0 ELSE 1 END WHERE id = was.job;
    IF is_last(was) THEN
        UPDATE jobs SET state = CASE WHEN fails THEN 'failed' ELSE was.taken_from END, error_kind = a ->> 'kind',
            error_message = left(a ->> 'message', 2000), passing = (a ->> 'passing')::BOOLEAN,
            request_id = nullif(a ->> 'request_id', '') WHERE id = was.job;
    END IF;
    IF a ->> 'kind' = 'late' THEN -- who took the shard over found it held as unknown, and left it
        UPDATE shards SET finished_at = NULL WHERE told IS DISTINCT FROM 'cancelled' AND finished_at IS NOT NULL
            AND id = (SELECT shard FROM placements WHERE id = was.placement);
    END IF;
    RETURN 'null';
END $$;

-- D
CREATE OR REPLACE FUNCTION step_lose_answer(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    was attempts := settle_attempt(a, 'unknown');
BEGIN
    UPDATE jobs SET unknown_microusd = unknown_microusd + was.price_microusd WHERE id = was.job;
    IF is_last(was) THEN
        UPDATE jobs SET state = 'unknown', error_kind = a ->> 'kind', error_message = left(a ->> 'message', 2000),
            passing = FALSE, request_id = nullif(a ->> 'request_id', '') WHERE id = was.job;
    END IF;
    RETURN 'null';
END $$;

-- The attempt's job and placement, while its picture is paid for and still to come.
CREATE OR REPLACE FUNCTION bought(a JSONB) RETURNS attempts LANGUAGE plpgsql AS $$
DECLARE
    found_one attempts;
BEGIN
    SELECT o.* INTO found_one FROM attempts o JOIN jobs j ON j.id = o.job
        WHERE o.id = (a ->> 'attempt')::BIGINT AND o.money = 'spent' AND j.state = 'bought' AND is_last(o)
        FOR UPDATE OF j;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt % has no picture to come', a ->> 'attempt';
    END IF;
    RETURN found_one;
END $$;

-- C
CREATE OR REPLACE FUNCTION step_store(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    of attempts := bought(a);
    p JSONB := a -> 'picture';
BEGIN
    UPDATE jobs SET state = 'stored', url = NULL, stored_at = (p ->> 'stored_at')::DOUBLE PRECISION,
        stored_run = (a ->> 'run')::BIGINT, url_age_s = (p ->> 'url_age_s')::DOUBLE PRECISION,
        sha256 = decode(p ->> 'sha256', 'hex'), bytes = (p ->> 'size_bytes')::BIGINT, width = (p ->> 'width')::BIGINT,
        height = (p ->> 'height')::BIGINT, format = p ->> 'format', verdict = p ->> 'verdict',
        error_kind = NULL, error_message = NULL WHERE id = of.job;
    UPDATE placements SET path = a ->> 'path' WHERE id = of.placement;
    RETURN 'null';
END $$;

-- F, G
CREATE OR REPLACE FUNCTION step_give_up(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    of attempts;
BEGIN
    IF a ->> 'state' NOT IN ('lost', 'spoiled') THEN
        RAISE EXCEPTION 'a paid job cannot become %', a ->> 'state';
    END IF;
    of := bought(a);
    UPDATE jobs SET state = a ->> 'state', url = NULL, error_kind = a ->> 'kind',
        error_message = left(a ->> 'message', 2000), passing = FALSE WHERE id = of.job;
    RETURN 'null';
END $$;

CREATE OR REPLACE FUNCTION step_place(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
BEGIN
    UPDATE placements SET path = a ->> 'path' WHERE id = (a ->> 'placement')::BIGINT
        AND job IN (SELECT id FROM jobs WHERE state = 'stored');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'placement % has no stored picture', a ->> 'placement';
    END IF;
    RETURN 'null';
END $$;

-- D for every request under way in a run. What the provider has taken (K) stays as it is: the next run asks after it.
CREATE OR REPLACE FUNCTION step_abandon_reserved(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    found_one BIGINT; number BIGINT := 0;
BEGIN
    UPDATE jobs SET error_kind = 'submitted', error_message = a ->> 'submitted' WHERE id IN
        (SELECT job FROM attempts WHERE money = 'reserved' AND submitted_at IS NOT NULL AND run = (a ->> 'run')::BIGINT);
    FOR found_one IN SELECT id FROM attempts WHERE money = 'reserved' AND submitted_at IS NULL
            AND run = (a ->> 'run')::BIGINT ORDER BY id LOOP
        PERFORM step_lose_answer(jsonb_build_object('attempt', found_one, 'at', a -> 'at', 'kind', 'interrupted',
            'message', 'the program ended before the answer was read'));
        number := number + 1;
    END LOOP;
    RETURN to_jsonb(number);
END $$;

-- D for what dead runs had under way; such a run ended now.
CREATE OR REPLACE FUNCTION step_bury_dead(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    dead BIGINT;
BEGIN
    FOR dead IN SELECT id FROM runs WHERE ended_at IS NULL AND NOT is_on(run_id) AND may_send_for(id) <= 0
            ORDER BY id LOOP
        PERFORM step_abandon_reserved(jsonb_build_object('run', dead, 'at', a -> 'at', 'submitted', a -> 'submitted'));
        UPDATE runs SET ended_at = (a ->> 'at')::DOUBLE PRECISION WHERE id = dead;
    END LOOP;
    DELETE FROM writers WHERE seen_at < clock_timestamp() - lease() - INTERVAL '1 hour';
    RETURN 'null';
END $$;

-- A run begins, beside others, unless somebody has the ledger alone. An earlier run of the same writer is over.
-- Of one manifest and edition there is one at a time, or one for each shard of it, and one that submits more of them.
CREATE OR REPLACE FUNCTION step_begin(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    of_batch BIGINT; made BIGINT; other TEXT; part shards; of_fleet BOOLEAN := coalesce((a ->> 'fleet')::BOOLEAN, FALSE);
BEGIN
    IF NOT pg_try_advisory_xact_lock_shared(alone_lock()) THEN
        RETURN '{"alone": true}';
    END IF;
    UPDATE writers SET run = NULL WHERE id = a ->> 'writer';
    SELECT * INTO part FROM shards WHERE id = (a ->> 'shard')::BIGINT FOR UPDATE;
    IF part.finished_at IS NOT NULL THEN
        RETURN '{"finished": true}';
    END IF;
    SELECT run_id INTO other FROM runs WHERE id = part.run AND ended_at IS NULL AND is_heard(run_id, silence());
    IF FOUND THEN
        RETURN jsonb_build_object('on', other);
    END IF;
    UPDATE shards SET epoch = epoch + 1 WHERE id = part.id RETURNING * INTO part;
    PERFORM step_bury_dead(a);
    INSERT INTO batches (manifest, edition, simulated) VALUES (a ->> 'manifest', a ->> 'edition',
        (a ->> 'simulated')::BOOLEAN) ON CONFLICT DO NOTHING;
    SELECT id INTO STRICT of_batch FROM batches WHERE manifest = a ->> 'manifest' AND edition = a ->> 'edition'
        AND simulated = (a ->> 'simulated')::BOOLEAN;
    SELECT run_id INTO other FROM runs r WHERE r.batch = of_batch AND r.ended_at IS NULL
        AND NOT (of_fleet AND r.fleet AND (part.id IS NOT NULL OR r.shard IS NOT NULL));
    IF FOUND THEN
        RETURN jsonb_build_object('on', other);
    END IF;
    INSERT INTO runs (run_id, batch, provider, started_at, caps, fleet, shard, epoch) VALUES (a ->> 'run_id', of_batch,
        a ->> 'provider', (a ->> 'at')::DOUBLE PRECISION, a ->> 'caps', of_fleet, part.id, part.epoch)
        RETURNING id INTO made;
    UPDATE shards SET run = made WHERE id = part.id;
    UPDATE writers SET run = a ->> 'run_id' WHERE id = a ->> 'writer';
    RETURN jsonb_build_array(made, of_batch, coalesce((SELECT max(may_send_for(id)) FROM runs
        WHERE shard = part.id AND id != made AND ended_at IS NULL), 0));
END $$;

CREATE OR REPLACE FUNCTION step_end(a JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
BEGIN
    PERFORM step_abandon_reserved(a);
    UPDATE runs SET ended_at = (a ->> 'at')::DOUBLE PRECISION, exit_code = (a ->> 'exit_code')::INTEGER
        WHERE id = (a ->> 'run')::BIGINT;
    UPDATE writers SET run = NULL WHERE id = a ->> 'writer';
    RETURN 'null';
END $$;

-- Several steps of one writer, in their order: all durable, or none, but for those that are refused by themselves.
--
-- A writer numbers its calls and has one at a time. A call that comes again, because nobody knows whether it was done,
-- is answered with what it came to then: no step is ever done twice.
CREATE OR REPLACE FUNCTION perform(me JSONB, number BIGINT, steps JSONB) RETURNS JSONB LANGUAGE plpgsql AS $$
DECLARE
    known writers; step JSONB; came JSONB; all_of JSONB := '[]';
BEGIN
    PERFORM pg_advisory_xact_lock_shared(alone_lock()) WHERE NOT steps @> '[{"step": "begin"}]';
    PERFORM pg_advisory_xact_lock(turn_lock());
    INSERT INTO writers (id, machine, process, signature)
        VALUES (me ->> 'id', me ->> 'machine', me ->> 'process', me ->> 'signature')
        ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), signature = excluded.signature RETURNING * INTO known;
    IF known.call = number THEN
        RETURN known.outcomes;
    ELSIF known.call > number THEN
        RAISE EXCEPTION 'call % comes after call %', number, known.call;
    END IF;
    FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
        BEGIN
            EXECUTE format('SELECT %I($1)', 'step_' || (step ->> 'step')) INTO came
                USING (step -> 'with') || jsonb_build_object('writer', me -> 'id');
            came := jsonb_build_object('came', came);
        EXCEPTION WHEN raise_exception OR no_data_found OR integrity_constraint_violation OR data_exception THEN
            came := jsonb_build_object('refused', SQLERRM);
        END;
        all_of := all_of || jsonb_build_array(came);
    END LOOP;
    UPDATE writers SET call = number, outcomes = all_of WHERE id = me ->> 'id';
    RETURN all_of;
END $$;

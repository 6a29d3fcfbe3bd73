-- What a fleet asks and records about its shards. None of it is about money: that is the steps' alone.

-- How long nothing may be heard of a worker on a shard before another takes it over: several beats of a writer.
CREATE OR REPLACE FUNCTION silence() RETURNS INTERVAL LANGUAGE sql IMMUTABLE AS $$SELECT INTERVAL '15 seconds'$$;

-- Add what a manifest is to be bought with, or change it.
CREATE OR REPLACE FUNCTION submit(of_batch BIGINT, said TEXT, at DOUBLE PRECISION) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO submissions (batch, settings, submitted_at) VALUES (of_batch, said, at)
        ON CONFLICT (batch) DO UPDATE SET settings = excluded.settings, submitted_at = excluded.submitted_at
$$;

-- Which of these placements no open shard has.
CREATE OR REPLACE FUNCTION unsharded(asked BIGINT[]) RETURNS SETOF BIGINT LANGUAGE sql STABLE AS $$
    SELECT p.id FROM placements p LEFT JOIN shards s ON s.id = p.shard
    WHERE p.id = ANY (asked) AND (s.id IS NULL OR s.finished_at IS NOT NULL)
$$;

-- Make a shard of rows; its number.
CREATE OR REPLACE FUNCTION add_shard(of_batch BIGINT, work TEXT, asked BIGINT[]) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    made BIGINT; next_number BIGINT;
BEGIN
    PERFORM 1 FROM submissions WHERE batch = of_batch FOR UPDATE;
    SELECT coalesce(max(s.number), 0) + 1 INTO next_number FROM shards s WHERE s.batch = of_batch;
    INSERT INTO shards (batch, number, work, size) VALUES (of_batch, next_number, work, cardinality(asked))
        RETURNING id INTO made;
    UPDATE placements SET shard = made WHERE id = ANY (asked);
    RETURN next_number;
END $$;

-- What is left to do when a shard's run is over: nothing, or the same shard again after a while. Only the last epoch's
-- word counts; a shard that was cancelled stays so. Unless rows may be left as they were, those that are still to be
-- bought are reason enough to begin again: somebody who slept has given them back meanwhile.
CREATE OR REPLACE FUNCTION close_shard(of_run TEXT, again_s DOUBLE PRECISION, leaves BOOLEAN, fault BOOLEAN, why TEXT)
RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    done BOOLEAN;
BEGIN
    IF again_s IS NULL AND NOT leaves AND EXISTS (SELECT 1 FROM placements p JOIN jobs j ON j.id = p.job
            WHERE p.shard = (SELECT shard FROM runs WHERE run_id = of_run) AND j.state = 'planned') THEN
        again_s := 1;
    END IF;
    UPDATE shards s SET told = why, faults = s.faults + fault::INTEGER,
        not_before = CASE WHEN again_s IS NULL THEN NULL ELSE clock_timestamp() + make_interval(secs => again_s) END,
        finished_at = CASE WHEN again_s IS NULL THEN clock_timestamp() END
    FROM runs r WHERE r.run_id = of_run AND s.id = r.shard AND s.epoch = r.epoch AND s.finished_at IS NULL
    RETURNING s.finished_at IS NOT NULL INTO done;
    RETURN coalesce(done, TRUE);
END $$;

-- Micro-dollars that requests under way hold of a batch's budget: some of it may yet be given back.
CREATE OR REPLACE FUNCTION on_order(of_batch BIGINT) RETURNS BIGINT LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT reserved FROM sums WHERE scope = 'batch:' || of_batch), 0)
$$;

-- End what is left of a manifest's shards: what is under way is still recorded, and nothing more is bought.
CREATE OR REPLACE FUNCTION cancel_shards(of_batch BIGINT) RETURNS BIGINT LANGUAGE sql AS $$
    WITH ended AS (
        UPDATE shards SET epoch = epoch + 1, finished_at = clock_timestamp(), told = 'cancelled', not_before = NULL
        WHERE batch = of_batch AND finished_at IS NULL RETURNING 1
    ) SELECT count(*) FROM ended
$$;

-- Seconds to wait for one's turn at a provider (generic cell rate, no burst), by this clock alone.
CREATE OR REPLACE FUNCTION take_turn(of_scope TEXT, gap DOUBLE PRECISION) RETURNS DOUBLE PRECISION LANGUAGE sql AS $$
    INSERT INTO turns AS t (scope, next_at) VALUES (of_scope, clock_timestamp() + make_interval(secs => gap))
        ON CONFLICT (scope) DO UPDATE
            SET next_at = greatest(t.next_at, clock_timestamp()) + make_interval(secs => gap)
    RETURNING greatest(0, extract(EPOCH FROM t.next_at - make_interval(secs => gap) - clock_timestamp()))::DOUBLE PRECISION
$$;

CREATE OR REPLACE FUNCTION tell_worker(me TEXT, who TEXT, does JSONB) RETURNS VOID LANGUAGE sql AS $$
    INSERT INTO workers (id, signature, told) VALUES (me, who, does)
        ON CONFLICT (id) DO UPDATE SET told = excluded.told, seen_at = clock_timestamp();
    DELETE FROM workers WHERE seen_at < clock_timestamp() - INTERVAL '1 hour';
$$;

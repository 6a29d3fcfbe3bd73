"""Telling somebody how a run ended: by a webhook, or by a command, which covers mail. Never with a secret."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryFile
from typing import Any

import anyio
import anyio.to_thread

from pipeline.errors import ConfigurationError, ExitCode
from pipeline.manifest import Manifest, Notify
from pipeline.report import Summary
from pipeline.runner.keyfile import FILE_SUFFIX, secret
from pipeline.transport import TransportError
from pipeline.transport.webhook import parse_webhook, post_notice

#: How long a command may take, in seconds.
COMMAND_S = 10.0
#: A webhook that fails for a passing reason is tried so often.
TRIES = 2
#: Bytes of what a command says when it fails.
_SAID = 200
#: What a command never sees of this program's environment, besides the variables that hold its secrets.
_OURS = "FLUXBATCH_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is told.

    Attributes:
        event: ``finish`` or ``trouble``.
        text: One line for people.
        payload: All of it: the run's own JSON object, with ``event``, ``text`` and ``host``.
    """

    event: str
    text: str
    payload: Mapping[str, Any]


def message_of(manifest: Manifest, summary: Summary | None, *, code: ExitCode, error: str = "") -> Message:
    """Say how a run ended.

    Args:
        summary: None where it broke before it could count.
        error: What broke it.
    """
    event = "trouble" if code else "finish"
    told: dict[str, Any] = {"manifest": manifest.name, "edition": manifest.edition, "error": error}
    if summary is None:
        named = f"{manifest.name} / {manifest.edition}" if manifest.edition else manifest.name
        text = f"{named}: {error}"
    else:
        first, money, *_ = summary.lines()
        text, told = f"{first}. {money}", {**summary.as_json(), "notes": [*summary.notes]}
    payload = {"event": event, "text": text, "host": socket.gethostname(), **told, "exit_code": int(code)}
    return Message(event=event, text=text, payload=payload)


async def notify(
    manifest: Manifest, message: Message, environment: Mapping[str, str], *, command_s: float = COMMAND_S
) -> list[str]:
    """Tell by every way the manifest names; what went wrong with each that failed, one line each.

    Args:
        command_s: How long a command may take, in seconds.
    """
    wanted = manifest.notify
    if wanted is None or message.event not in wanted.on:
        return []
    outcomes: list[list[str]] = []
    if wanted.webhook or wanted.webhook_env:
        outcomes.append(await _post(wanted, message, environment))
    if wanted.command:
        outcomes.append(await anyio.to_thread.run_sync(partial(_run, manifest, message, environment, command_s)))
    who = "nobody" if all(outcomes) else "not everybody"
    return [f"warning: {who} was told: {why}" for failed in outcomes for why in failed]


async def _post(wanted: Notify, message: Message, environment: Mapping[str, str]) -> list[str]:
    try:
        address = secret(environment, wanted.webhook_env) if wanted.webhook_env else wanted.webhook
        if not address:
            return [f"the environment variable {wanted.webhook_env} is not set"]
        target = parse_webhook(address)
    except ConfigurationError as error:
        return [error.message]
    why = ""
    for _ in range(TRIES):
        try:
            status = await post_notice(target, message.payload)
        except TransportError as error:
            why = error.message
            continue
        if 200 <= status < 300:
            return []
        why = f"the webhook at {target.origin.authority} answered {status}"
        if status < 500 and status != 429:
            break
    return [why]


def _run(manifest: Manifest, message: Message, environment: Mapping[str, str], command_s: float) -> list[str]:
    """Run the command in a group of its own, with the JSON on its standard input."""
    words = manifest.notify.command if manifest.notify else ()
    with TemporaryFile() as said:  # no pipe: what the command leaves running would hold it open
        try:
            process = subprocess.Popen(  # noqa: S603 - the manifest's own words, and no shell
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=command_environment(manifest, message, environment),
                start_new_session=True,
            )
        except OSError as error:
            return [f"{words[0]} cannot be run ({error.strerror})"]
        try:
            process.communicate(json.dumps(message.payload).encode() + b"\n", timeout=command_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return [f"{words[0]} took more than {command_s:g} s"]
        if process.returncode == 0:
            return []
        said.seek(0)
        told = " ".join(said.read(_SAID).decode(errors="replace").split())
        return [f"{words[0]} ended with {process.returncode}" + (f": {told}" if told else "")]


def command_environment(manifest: Manifest, message: Message, environment: Mapping[str, str]) -> dict[str, str]:
    """What the command sees: this process's own environment without anything that leads to a secret, and the news."""
    secrets = {manifest.notify.webhook_env if manifest.notify else ""}
    for profile in manifest.profiles:
        secrets.add(profile.api_key_env)
        if profile.log is not None:
            secrets |= {profile.log.token_env, profile.log.user_env}
    secrets |= {name + FILE_SUFFIX for name in secrets} | {"CREDENTIALS_DIRECTORY"}
    kept = {name: value for name, value in environment.items() if name not in secrets and not name.startswith(_OURS)}
    return kept | {
        "FLUXBATCH_EVENT": message.event,
        "FLUXBATCH_TEXT": message.text,
        "FLUXBATCH_MANIFEST": manifest.name,
        "FLUXBATCH_EDITION": manifest.edition,
        "FLUXBATCH_EXIT_CODE": str(message.payload["exit_code"]),
    }

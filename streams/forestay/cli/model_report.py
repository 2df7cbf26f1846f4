"""What workers say of the versions of the model, asked at their web ports."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiohttp

from forestay.cli.console import console, print_json, table
from forestay.core.errors import ForestayError
from forestay.settings import Settings

#: Seconds for one worker.
_PATIENCE: Final = 5.0


def show_reports(settings: Settings, workers: Sequence[str], *, as_json: bool) -> None:
    """Prints what each worker says; without any, the one on this machine's web port is asked.

    Raises:
        ForestayError: none is named, or one does not answer as a worker.
    """
    if not workers:
        if not settings.web.port:
            raise ForestayError("name a worker's web port with --worker http://HOST:PORT, or set web.port")
        workers = [f"http://{settings.web.host}:{settings.web.port}"]
    told = dict(zip(workers, asyncio.run(_ask(workers, settings.web.secret)), strict=True))
    if as_json:
        print_json({"workers": told})
        return
    for url, one in told.items():
        _show(url, one)


async def _ask(workers: Sequence[str], token: str | None) -> list[dict[str, Any]]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        return await asyncio.gather(*(_ask_one(session, url) for url in workers))


async def _ask_one(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get(f"{url.rstrip('/')}/model", allow_redirects=False) as answer:
            if answer.status == 401:  # noqa: PLR2004 - the number is the name
                raise ForestayError(f"{url} asks for its token: set web.token_file to the worker's")
            content = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        said = str(error) or type(error).__name__
        raise ForestayError(f"no worker tells of its model at {url}: {said} (web.port opens its web port)") from error
    if not isinstance(content, dict) or "differences" not in content:
        raise ForestayError(f"{url} is not the web port of a worker of this version")
    return content


def _show(url: str, told: dict[str, Any]) -> None:
    answered = (
        ", ".join(f"{version} {users:,}" for version, users in sorted(told["answered"].items())) or "nobody yet"
    )
    failures = ", ".join(
        f"{words} {told[name]:,}"
        for name, words in (
            ("canary_failed", "canary gave no answer on"),
            ("shadow_failed", "shadow gave none on"),
            ("shadow_dropped", "shadow was not asked about"),
        )
        if told[name]
    )
    console().print(f"{url}: users answered by version: {answered}" + (f"; {failures}" if failures else ""))
    if not told["differences"]:
        return
    quantiles = sorted(told["differences"][0]["quantiles"])
    columns = ("mean", "mean, absolute", *(f"p{100 * float(one):g}" for one in quantiles), "largest", "crossing")
    rows = table("shadow", "beside", "users", *columns, right=("users", *columns))
    for one in told["differences"]:
        rows.add_row(
            one["shadow"],
            one["answering"],
            f"{one['users']:,}",
            f"{one['mean_difference']:+.4f}",
            f"{one['mean_absolute_difference']:.4f}",
            *(f"{one['quantiles'][name]:.3f}" for name in quantiles),
            f"{one['largest_difference']:.4f}",
            f"{one['crossing_share']:.2%}",
        )
    console().print(rows)

"""One notice on its way: signed, to a checked address, within a limit, following nothing."""

import hashlib
import hmac
import ssl
import time
from dataclasses import dataclass

import anyio
import httpx

from neuroscan import __version__
from neuroscan.contracts.enums import DeliveryFault
from neuroscan.contracts.problems import AddressRefused
from services.gateway.webhooks.addresses import AddressRules, Target, Unresolved

EVENT_HEADER = "NeuroScan-Event-Id"
TIMESTAMP_HEADER = "NeuroScan-Timestamp"
SIGNATURE_HEADER = "NeuroScan-Signature"
# So much of an answer is read, and for so long, that the other side can end in peace.
_ANSWER_BYTES_MAX = 4096
_ANSWER_LIMIT_S = 1.0
_ADDRESSES_MAX = 4


@dataclass(frozen=True)
class Outcome:
    """What came of a try: the answer's status, or why there is none, or both."""

    status_code: int | None = None
    fault: DeliveryFault | None = None

    @property
    def told(self) -> bool:
        """Whether the other side has, or may have, read the notice."""
        return self.status_code is not None or self.fault in (
            DeliveryFault.NO_ANSWER,
            DeliveryFault.TIMED_OUT,
        )


@dataclass(frozen=True)
class Limits:
    """How long one try may take."""

    connect_s: float = 3.0
    total_s: float = 10.0


class Sender:
    """Posts notices. Safe to use from several threads."""

    def __init__(
        self,
        rules: AddressRules,
        *,
        limits: Limits | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._limits = limits or Limits()
        self._trust = trust or httpx.create_ssl_context()

    def send(self, url: str, event_id: str, body: bytes, secret: str) -> Outcome:
        """Post a body to a URL, which is checked anew; raises nothing for a failure out there."""
        try:
            target = self._rules.check(url)
        except Unresolved:
            return Outcome(fault=DeliveryFault.UNREACHABLE)
        except AddressRefused:
            return Outcome(fault=DeliveryFault.ADDRESS_REFUSED)
        headers = _headers(target, event_id, body, secret)
        return anyio.run(self._post, target, headers, body)

    async def _post(self, target: Target, headers: dict[str, str], body: bytes) -> Outcome:
        # httpx limits each read; the whole is limited here, against an answer that trickles.
        with anyio.move_on_after(self._limits.total_s):
            for address in target.addresses[:_ADDRESSES_MAX]:
                outcome = await self._post_to(address, target, headers, body)
                if outcome.fault is not DeliveryFault.UNREACHABLE:
                    break
            return outcome
        return Outcome(fault=DeliveryFault.TIMED_OUT)

    async def _post_to(
        self, address: str, target: Target, headers: dict[str, str], body: bytes
    ) -> Outcome:
        # A client of its own: a pooled connection is known by its address alone, and one whose
        # certificate was checked for one name must not serve another.
        client = httpx.AsyncClient(
            verify=self._trust,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(self._limits.total_s, connect=self._limits.connect_s),
        )
        request = client.build_request(
            "POST",
            target.url.copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": target.url.raw_host.decode("ascii").rstrip(".")},
        )
        try:
            async with client:
                response = await client.send(request, stream=True)
                await _let_end(response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Outcome(fault=_no_connection(error))
        except httpx.TimeoutException:
            return Outcome(fault=DeliveryFault.TIMED_OUT)
        except httpx.HTTPError:
            return Outcome(fault=DeliveryFault.NO_ANSWER)
        status = response.status_code
        return Outcome(status, None if response.is_success else DeliveryFault.BAD_STATUS)


def signature(secret: str, timestamp: str, event_id: str, body: bytes) -> str:
    """`v1=` and HMAC-SHA256 of "timestamp.event_id.body" with the hook's secret, hexadecimal."""
    signed = f"{timestamp}.{event_id}.".encode() + body
    return f"v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def _headers(target: Target, event_id: str, body: bytes, secret: str) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        "Host": target.url.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "User-Agent": f"NeuroScan/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
        EVENT_HEADER: event_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(secret, timestamp, event_id, body),
    }


async def _let_end(response: httpx.Response) -> None:
    """Read a little of the answer's body, which says nothing to us, and close it."""
    read = 0
    try:
        with anyio.move_on_after(_ANSWER_LIMIT_S):
            async for part in response.aiter_raw():
                read += len(part)
                if read > _ANSWER_BYTES_MAX:
                    break
    except httpx.HTTPError:
        # The status has come, and that is all that counts.
        pass
    finally:
        await response.aclose()


def _no_connection(error: BaseException) -> DeliveryFault:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return DeliveryFault.TLS_FAILED
        cause = cause.__cause__ or cause.__context__
    return DeliveryFault.UNREACHABLE

"""Where requests may go, judged by address (security catalogue S01)."""

import pytest
from pydantic import ValidationError

from tests.support.internet import Internet
from towline.net.egress.client import GuardedClient
from towline.net.egress.errors import EgressRefusedError
from towline.net.egress.guard import Egress
from towline.settings import EgressSettings

#: Addresses, by what the refusal calls them; the first and last of their networks.
SPECIAL = {
    "unspecified": ["0.0.0.0", "0.255.255.255", "::"],  # noqa: S104 - nobody binds to it
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "link-local": ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::1", "fe80::1%eth0", "febf:ffff::1"],
    "private": [
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
        "fc00::",
        "fdff::1",
    ],
    "shared": ["100.64.0.0", "100.127.255.255"],
    "metadata": ["fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
    "multicast": ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"],
    "reserved": [
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "240.0.0.0",
        "255.255.255.255",
        "100::1",
        "2001:1::1",
        "2001:db8::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "64:ff9b:1::1",
    ],
    "site-local": ["fec0::1", "feff::1"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8"],
    "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808"],
    "6to4": ["2002:7f00:1::", "2002:808:808::1", "192.88.99.1"],
    "Teredo": ["2001::1", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"],
}

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
]

#: Ways to write what is not to be asked. Names lead to this machine here, as they would by a resolver that helps.
SPELLINGS = [
    "http://localhost/",
    "http://LOCALHOST./",
    "http://localhost.localdomain/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://127.0.0.01/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f000001/",
    "http://0x7F000001./",
    "http://2130706433/",
    "http://017700000001/",
    "http://3232235777/",
    "http://0/",
    "http://127.0.0.1%00.example/",
    "http://127.0.0.1%2f.example/",
    "http://127\u30020\u30020\u30021/",
    "http://127\uff0e0\uff0e0\uff0e1/",
    "http://127\uff610\uff610\uff611/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "http://localhost\u3002/",
    "http://loc\u00adalhost/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[fe80::1%25eth0]/",
    "http://user@store.example/",
    "http://user:secret@store.example/",
    "http://store.example@127.0.0.1/",
    "http://127.0.0.1#@store.example/",
    "http://127.0.0.1\\@store.example/",
    "http:///store.example/",
    "http://",
    "ftp://store.example/",
    "file:///etc/passwd",
    "gopher://store.example:80/",
    "ws://store.example/",
    "http+unix://store.example/",
    "//store.example/",
    "http://store.example:0/",
    "http://store.example:22/",
    "http://store.example:8080/",
    "https://store.example:2375/",
    "https://store.example:65536/",
]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    return Internet(monkeypatch, anything_else=["127.0.0.1", "::1"])


def special() -> list[tuple[str, str]]:
    return [(kind, address) for kind, addresses in SPECIAL.items() for address in addresses]


@pytest.mark.parametrize(("kind", "address"), special())
def test_what_is_not_public_is_refused(kind: str, address: str) -> None:
    bracketed = f"[{address.replace('%', '%25')}]" if ":" in address else address
    with pytest.raises(EgressRefusedError, match=kind) as caught:
        Egress().vet("name.example", 443, [address])
    assert "egress.allow" in str(caught.value)
    assert caught.value.retryable is False
    with pytest.raises(EgressRefusedError, match=kind):
        Egress().check(f"http://{bracketed}/")


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_asked_at_the_usual_ports(address: str) -> None:
    bracketed = f"[{address}]" if ":" in address else address
    for server in (f"http://{bracketed}", f"https://{bracketed}", f"http://{bracketed}:443"):
        Egress().check(server)
    assert Egress().vet("name.example", 443, [address]) == [address]


@pytest.mark.parametrize("url", SPELLINGS)
async def test_no_spelling_leads_to_a_connection(internet: Internet, url: str) -> None:
    internet.names["store.example"] = [["8.8.8.8"]]
    async with GuardedClient(Egress()) as client:
        with pytest.raises(EgressRefusedError):
            await client.send("GET", url)
    assert internet.dialled == []


@pytest.mark.parametrize(
    ("allowed", "url", "addresses", "dialled"),
    [
        ("10.0.0.0/8", "http://a.example", ["10.1.2.3"], ["10.1.2.3"]),
        ("10.0.0.0/8", "http://10.1.2.3", ["10.1.2.3"], ["10.1.2.3"]),
        ("10.0.0.0/8", "http://a.example", ["11.1.2.3", "10.1.2.3", "192.168.0.1"], ["11.1.2.3", "10.1.2.3"]),
        ("10.0.0.7", "http://a.example", ["10.0.0.8", "10.0.0.7"], ["10.0.0.7"]),
        ("10.0.0.0/8", "http://a.example", ["192.168.0.1"], []),
        ("10.0.0.0/8", "http://a.example", ["::ffff:10.0.0.1"], []),
        ("10.0.0.0/8", "http://a.example:9000", ["10.1.2.3"], []),
        ("fd00::/8", "http://a.example", ["fd00::7", "fc00::7"], ["fd00::7"]),
        ("169.254.0.0/16", "http://a.example", ["169.254.1.1"], ["169.254.1.1"]),
        ("a.example", "http://a.example", ["10.0.0.7", "::1"], ["10.0.0.7", "::1"]),
        ("A.Example.", "https://a.example.", ["10.0.0.7"], ["10.0.0.7"]),
        ("a.example", "http://b.example", ["10.0.0.7"], []),
        ("a.example", "http://a.example.b.example", ["10.0.0.7"], []),
        ("a.example", "http://b.a.example", ["10.0.0.7"], []),
        ("a.example", "http://a.example:9000", ["10.0.0.7"], []),
        ("a.example", "http://10.0.0.7", ["10.0.0.7"], []),
        ("a.example:9000", "http://a.example:9000", ["10.0.0.7"], ["10.0.0.7"]),
        ("a.example:9000", "http://a.example:9001", ["10.0.0.7"], []),
        ("a.example:9000", "http://a.example", ["10.0.0.7"], []),
        ("a.example:9000", "http://a.example", ["8.8.8.8"], ["8.8.8.8"]),
        ("a.example:9000", "http://a.example:9000", ["169.254.169.254", "fd00:ec2::254", "0.0.0.1", "224.0.0.1"], []),
        ("a.example:9000", "http://a.example:9000", ["64:ff9b::a00:7"], ["64:ff9b::a00:7"]),
        ("a.example:9000", "http://a.example:9000", ["64:ff9b::a9fe:a9fe", "::ffff:169.254.169.254"], []),
        ("127.0.0.1:5001", "http://127.0.0.1:5001", ["127.0.0.1"], ["127.0.0.1"]),
        ("127.0.0.1:5001", "http://127.0.0.1:5002", ["127.0.0.1"], []),
        ("127.0.0.1:5001", "http://localhost:5001", ["127.0.0.1"], []),
        ("[::1]:5001", "http://[::1]:5001", ["::1"], ["::1"]),
        ("169.254.1.1:80", "http://169.254.1.1", ["169.254.1.1"], ["169.254.1.1"]),
        ("64:ff9b::/96", "http://a.example", ["64:ff9b::808:808", "64:ff9b::a00:7"], ["64:ff9b::808:808"]),
        ("2002::/16", "http://a.example", ["2002:808:808::1", "2002:a00:7::1"], ["2002:808:808::1"]),
        ("2001::/32", "http://a.example", ["2001:0:808:808::f5ff:fff8"], []),
    ],
)
def test_what_is_allowed_is_that_and_no_more(allowed: str, url: str, addresses: list[str], dialled: list[str]) -> None:
    egress = Egress.of(EgressSettings(allow=(allowed,)))
    try:
        address = egress.check(url)
        vetted = egress.vet(address.raw_host or "", address.port or 0, addresses)
    except EgressRefusedError:
        vetted = []
    assert vetted == dialled


def test_a_port_of_the_settings_is_open_to_all_and_no_other() -> None:
    egress = Egress.of(EgressSettings(ports=(9000,)))
    egress.check("http://a.example:9000")
    egress.check("http://a.example")
    with pytest.raises(EgressRefusedError, match=r"a\.example:9001 in egress\.allow, or by 9001 in egress\.ports"):
        egress.check("http://a.example:9001")
    with pytest.raises(EgressRefusedError, match="loopback"):
        egress.check("http://127.0.0.1:9000")


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "127.1",
        "0x7f000001",
        "a b",
        "a.example:",
        "a.example:0",
        "a.example:65536",
        "a.example:80x",
        ":80",
        "[::1",
        "http://a.example",
        "a.example/path",
        "user@a.example",
        "*.example",
    ],
)
def test_an_entry_that_allows_nothing_is_refused_with_its_path(entry: str) -> None:
    with pytest.raises(ValidationError, match=r"allow"):
        EgressSettings(allow=(entry,))

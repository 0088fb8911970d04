"""Certificates are tried out before anybody is served with them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from serving.edge.certificates import read_pair, words_about_end
from serving.edge.options import EdgeOptions, check_edge
from serving.errors import EdgeError
from tests.serving.edge.authority import Files, write

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def test_names_and_end_are_read(tmp_path: Path, authority: trustme.CA) -> None:
    files = write(tmp_path, authority, not_after=NOW + 90 * DAY)
    pair = read_pair(files.cert, files.key)
    assert pair.names == ("localhost", "127.0.0.1")
    assert pair.ends_at_s == pytest.approx((NOW + 90 * DAY).timestamp(), abs=2)
    assert words_about_end(pair) == ("", False)
    assert words_about_end(pair, pair.ends_at_s - 86_400 * 1.5) == ("ends in 1.5 days", False)
    assert words_about_end(pair, pair.ends_at_s + 1) == ("has expired", True)
    assert "PRIVATE" not in repr(pair)


def test_a_chain_and_one_file_for_both_will_do(tmp_path: Path, authority: trustme.CA) -> None:
    files = write(tmp_path, authority.create_child_ca())
    assert files.cert.read_bytes().count(b"BEGIN CERTIFICATE") == 2
    both = tmp_path / "both.pem"
    both.write_bytes(b"some words\n" + files.key.read_bytes() + files.cert.read_bytes())
    assert read_pair(both, both).chain == read_pair(files.cert, files.key).chain
    assert b"PRIVATE" not in read_pair(both, both).chain


ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIC\n-----END ENCRYPTED PRIVATE KEY-----\n"
Breaks = Callable[[Files, trustme.CA], object]
BROKEN: dict[str, tuple[Breaks, str]] = {
    "no certificate": (lambda files, _: files.cert.unlink(), "--tls-cert .* cannot be read .No such file"),
    "no key": (lambda files, _: files.key.unlink(), "--tls-key .* cannot be read .No such file"),
    "a folder": (lambda files, _: (files.key.unlink(), files.key.mkdir()), "cannot be read .Is a directory"),
    "no PEM": (lambda files, _: files.cert.write_text("hello"), "with a certificate, and .* has none"),
    "the key twice": (lambda files, _: files.cert.write_bytes(files.key.read_bytes()), "with a certificate"),
    "the certificate twice": (lambda files, _: files.key.write_bytes(files.cert.read_bytes()), "with the key of"),
    "a pass phrase": (lambda files, _: files.key.write_text(ENCRYPTED), "a key without a pass phrase.*openssl pkey"),
    "another key": (
        lambda files, authority: files.key.write_bytes(authority.issue_cert("x").private_key_pem.bytes()),
        "does not fit the certificate",
    ),
    "half a certificate": (
        lambda files, _: files.cert.write_text("-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"),
        "cannot be served",
    ),
    "to come": (lambda files, authority: write(files.cert.parent, authority, not_before=NOW + DAY), "not yet valid"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_served_is_said(tmp_path: Path, authority: trustme.CA, how: str) -> None:
    files = write(tmp_path, authority)
    breaks, words = BROKEN[how]
    breaks(files, authority)
    with pytest.raises(EdgeError, match=words):
        read_pair(files.cert, files.key)


def test_a_kind_of_key_that_callers_do_not_know_is_refused(tmp_path: Path) -> None:
    files = Files(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem", root=tmp_path / "root.pem")
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(NOW - DAY).not_valid_after(NOW + 90 * DAY)
    files.cert.write_bytes(built.sign(key, None).public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(EdgeError, match="for an ECDSA or RSA key"):
        read_pair(files.cert, files.key)


@pytest.mark.parametrize("kind", trustme.KeyType)
def test_the_usual_kinds_are_taken(tmp_path: Path, authority: trustme.CA, kind: trustme.KeyType) -> None:
    files = write(tmp_path, authority, key_type=kind)
    assert read_pair(files.cert, files.key).names == ("localhost", "127.0.0.1")


def test_a_start_with_an_expired_one_is_refused_and_a_late_one_warned_of(
    tmp_path: Path, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    files = write(tmp_path, authority, not_after=NOW - DAY)
    assert read_pair(files.cert, files.key).ends_at_s == 0
    options = EdgeOptions(tls_cert=files.cert, tls_key=files.key)
    with pytest.raises(EdgeError, match=r"has expired: renew it"):
        check_edge(options, keys=False)
    write(tmp_path, authority, not_after=NOW + 13 * DAY)
    assert check_edge(options, keys=False).tls
    assert "ends in 13.0 days: renew it" in caplog.text
    caplog.clear()
    write(tmp_path, authority, not_after=NOW + 15 * DAY)
    check_edge(options, keys=False)
    assert caplog.text == ""


def test_reading_leaves_no_file_open(tmp_path: Path, authority: trustme.CA) -> None:
    files = write(tmp_path, authority)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        read_pair(files.cert, files.key)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert time.time() < read_pair(files.cert, files.key).ends_at_s

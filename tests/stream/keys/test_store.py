"""Private keys on disk, and the files that trust their public halves."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from emitter.signing import SignatureError, TrustedKeys, verify
from stream.keys import OPERATOR, WORKER, KeyFileError, KeyStore, Signer, private

_STAT = Path.stat


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "home")


def trusted(store: KeyStore, role: str = WORKER) -> TrustedKeys:
    """The file of this role."""
    return TrustedKeys(store.files[role])


def test_new_key_signs_what_is_then_believed(store: KeyStore) -> None:
    """The private file is the owner's alone, the public line is in the file of its role and no other."""
    key = store.new("cluster")
    assert stat.S_IMODE(key.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.path.parent.stat().st_mode) == 0o700
    assert verify(b"x", dict(Signer(key).headers(b"x")), trusted(store)) == key.public.id

    person = store.new("ann", OPERATOR)
    with pytest.raises(SignatureError):
        verify(b"x", dict(Signer(person).headers(b"x")), trusted(store))
    assert verify(b"x", dict(Signer(person).headers(b"x")), trusted(store, OPERATOR)) == person.public.id


def test_key_comes_back_from_its_file(store: KeyStore) -> None:
    """What was made is what is read, and the newest of a role is the one that signs."""
    first, second = store.new("a"), store.new("b")
    assert private.read(first.path) == first
    assert store.newest() == second
    assert repr(first.raw) not in repr(first)


def test_openssl_reads_our_keys(store: KeyStore) -> None:
    """The file is plain PKCS #8: whoever keeps keys elsewhere can use their own tools."""
    key = store.new("a")
    command = ["openssl", "pkey", "-in", str(key.path), "-pubout", "-outform", "DER"]
    found = subprocess.run(command, check=True, capture_output=True).stdout
    assert found[-32:] == key.public.raw


def test_rotation_trusts_both_and_revocation_one(store: KeyStore) -> None:
    """The old key goes on until it is revoked; then its lines are gone, and it signs no more."""
    first = store.new("cluster")
    old, new = store.rotate()
    assert (old, new.name, new.role) == (first, "cluster-2", WORKER)
    assert [key.id for key in trusted(store).all()] == [old.public.id, new.public.id]

    store.revoke("cluster")
    assert [key.id for key in trusted(store).all()] == [new.public.id]
    assert [(one.name, one.trusted, one.revoked) for one in store.listed()] == [
        ("cluster", False, True), ("cluster-2", True, False),
    ]  # fmt: skip
    with pytest.raises(KeyFileError, match=r"this key is revoked; make another with `trainwarden keys new`"):
        Signer.load(store.listed()[0].path)
    assert store.rotate()[1].name == "cluster-3"


def test_revocation_leaves_other_lines_alone(store: KeyStore) -> None:
    """Comments, lines of others and lines that are no keys stay as they are; also through a link."""
    key = store.new("a")
    path = store.files[WORKER]
    path.write_text(f"# by hand\n{path.read_text()}not a key\n")
    real = path.rename(path.with_name("elsewhere"))
    path.symlink_to(real)
    store.revoke(key.public.id)
    assert real.read_text() == "# by hand\nnot a key\n"
    assert path.is_symlink()


def test_key_that_is_only_trusted_can_be_revoked(store: KeyStore) -> None:
    """A trainer's machine holds public keys alone."""
    other = KeyStore(store.private.parent.with_name("other")).new("cluster")
    store.files[WORKER].parent.mkdir()
    store.files[WORKER].write_text(other.public.line() + "\n")
    (found,) = store.listed()
    assert (found.name, found.path, found.trusted) == ("cluster", None, True)

    store.revoke("cluster")
    assert store.listed() == []


@pytest.mark.parametrize("name", ["", "../a", "a b", "-a", "a.pem", "x" * 65, "ä"])
def test_bad_names_are_refused(store: KeyStore, name: str) -> None:
    """A name is a file's name."""
    with pytest.raises(KeyFileError, match="expected a name of letters"):
        store.new(name)


def test_existing_key_is_not_overwritten(store: KeyStore) -> None:
    """A private key that is gone cannot be had back."""
    key = store.new("a")
    with pytest.raises(KeyFileError, match="a key of this name exists; choose another name"):
        store.new("a")
    assert private.read(key.path) == key


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_private_key_that_others_may_read_or_write_is_refused(store: KeyStore, mode: int) -> None:
    """It may be somebody else's by now."""
    key = store.new("a")
    key.path.chmod(mode)
    with pytest.raises(KeyFileError, match=r"others may read or write this private key; `chmod 600` it"):
        Signer.load(key.path)


def test_a_group_may_read_the_key_that_is_roots(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """So Kubernetes mounts a Secret for a pod that is not root; a key of one's own is for nobody else."""
    key = store.new("a")
    key.path.chmod(0o440)
    for owner, good in ((0, True), (10001, False)):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "stat", lambda self, owner=owner: _owned(self, owner))
            if good:
                assert Signer.load(key.path).key_id == key.public.id
            else:
                with pytest.raises(KeyFileError, match="others may read or write"):
                    Signer.load(key.path)


def _owned(path: Path, owner: int) -> os.stat_result:
    seen = list(_STAT(path))
    seen[stat.ST_UID] = owner
    return os.stat_result(seen)


def test_files_that_are_no_keys_are_named(tmp_path: Path) -> None:
    """What was expected, and what came."""
    spoilt = tmp_path / "spoilt.pem"
    spoilt.touch(0o600)
    with pytest.raises(KeyFileError, match=r"spoilt.pem: expected a private key in PEM without a password"):
        private.read(spoilt)
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        private.read(tmp_path / "none.pem")
    spoilt.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(KeyFileError, match="expected an Ed25519 key, got RSAPrivateKey"):
        private.read(spoilt)


def test_signer_is_found_by_variable_then_by_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRAINWARDEN_SIGNING_KEY and TRAINWARDEN_OPERATOR_KEY win over the configuration directory."""
    for name in ("SIGNING_KEY", "OPERATOR_KEY", "TRUSTED_KEYS", "OPERATORS"):
        monkeypatch.delenv(f"TRAINWARDEN_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(KeyFileError, match="no worker's key; make one with `trainwarden keys new`"):
        Signer.load()
    with pytest.raises(KeyFileError, match="make one with `trainwarden keys new --operator`"):
        Signer.load(role=OPERATOR)
    worker, person = KeyStore().new("w"), KeyStore().new("p", OPERATOR)
    assert (Signer.load().key_id, Signer.load(role=OPERATOR).key_id) == (worker.public.id, person.public.id)
    assert (tmp_path / "trainwarden" / "trusted_keys").exists()

    other = KeyStore(tmp_path / "other").new("o")
    monkeypatch.setenv("TRAINWARDEN_SIGNING_KEY", str(other.path))
    assert Signer.load().key_id == other.public.id
    monkeypatch.setenv("TRAINWARDEN_OPERATOR_KEY", str(worker.path))
    assert Signer.load(role=OPERATOR).key_id == worker.public.id

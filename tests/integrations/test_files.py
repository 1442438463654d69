"""What a checkpoint must look like to be whole."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from emitter.integrations import _files


def safetensors(path: Path, size: int = 8, header: dict[str, object] | None = None) -> None:
    text = json.dumps(header or {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))


def damage(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def test_a_whole_checkpoint_has_a_size_and_a_checksum(tmp_path: Path) -> None:
    """The same for the same content, another one when a byte changes that no format protects."""
    safetensors(tmp_path / "model.safetensors")
    torch.save({"a": torch.ones(3)}, tmp_path / "optimizer.pt")
    (tmp_path / "trainer_state.json").write_text("{}")

    _files.check(tmp_path)
    first = _files.read_back(tmp_path)
    assert _files.size_of(tmp_path) == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert _files.read_back(tmp_path) == first
    damage(tmp_path / "model.safetensors", -1)
    assert _files.read_back(tmp_path) != first


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"", "the header says it is 0 bytes long, the file has 0"),
        ("model.safetensors", b"\xff" * 20, "the file has 20"),
        ("optimizer.pt", b"", "optimizer.pt: the file is empty"),
        ("trainer_state.json", b'{"a": ', "trainer_state.json: Expecting value"),
        ("optimizer.pt", b"PK\x03\x04 and no directory", "File is not a zip file"),
    ],
)
def test_a_file_that_is_cut_short_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """By looking at its ends alone."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(_files.DamagedError, match=message):
        _files.check(tmp_path)


def test_tensors_that_are_cut_short_are_found(tmp_path: Path) -> None:
    """The header says how long the file must be."""
    safetensors(tmp_path / "model.safetensors", size=5)

    with pytest.raises(
        _files.DamagedError, match=r"model.safetensors: expected \d+ bytes as the header says"
    ):
        _files.check(tmp_path)


def test_a_flipped_bit_in_what_torch_saved_is_found_by_reading_back(tmp_path: Path) -> None:
    """Its ends look well; the checksum of the tensor does not fit."""
    path = tmp_path / "optimizer.pt"
    torch.save({"a": torch.arange(1000)}, path)
    damage(path, path.stat().st_size // 2)

    _files.check(path)
    with pytest.raises(_files.DamagedError, match=r"optimizer\.pt: the checksum of .* does not fit"):
        _files.read_back(path)


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    """Nothing was written."""
    with pytest.raises(_files.DamagedError, match="expected files, found none"):
        _files.size_of(tmp_path)

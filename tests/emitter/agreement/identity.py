"""A rank that was given no run id: prints the one it has. `early`: before there is a process group."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import torch.distributed as dist

import emitter


def main(folder: str, early: bool) -> None:
    """One line per attempt, in a file of this rank."""
    if not early:
        dist.init_process_group("gloo")
    emitter.init("plain", endpoint=f"file:{folder}/out", resources=False, spool="off", gpus="off", logs=False)
    rank, attempt = os.environ["RANK"], os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    ids, draft = Path(folder) / f"ids{rank}", Path(folder) / f"draft{rank}"
    known = ids.read_text() if ids.exists() else ""
    draft.write_text(known + emitter._api._session.identity.run + "\n")  # type: ignore[union-attr]
    draft.rename(ids)
    emitter.shutdown()
    if not early:
        dist.barrier()
    elif attempt == "0":
        # The launcher ends the other rank with this one: not before it has written.
        while not all((Path(folder) / f"ids{other}").exists() for other in range(2)):
            time.sleep(0.01)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], "early" in sys.argv)

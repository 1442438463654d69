"""Checkpoints of Hugging Face's Trainer: those it makes by itself, and those that a command asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from emitter._actions import Later
from emitter.integrations._saves import Save

FORENSIC: Final = "forensic"


class TrainerSaves:
    """At most one save is under way, and at most one is asked for.

    A forensic one is evidence from an incident: it is moved to ``OUTPUT_DIR/forensic``, where the Trainer
    neither resumes from it nor counts it for ``save_total_limit``.
    """

    def __init__(self, verify: bool) -> None:
        self._verify = verify
        self._save: Save | None = None
        self._asked: tuple[Later, str] | None = None
        self._answer: Later | None = None
        self._apart = False
        self._limit: tuple[Any] | None = None

    @property
    def asked(self) -> bool:
        """Whether a command waits for its save to begin."""
        return self._asked is not None

    def ask(self, command: Any) -> Later:
        """A ``save`` command came; its acknowledgement follows when the Trainer has saved."""
        if self._asked is not None:
            self._asked[0].failed("another save was asked for at the same step")
        later = Later()
        self._asked = (later, str(command.args.get("kind", FORENSIC)))
        return later

    def begin_asked(self, args: Any, control: Any) -> None:
        """Have the Trainer save at this step. Where it does so anyway, the save stays a regular one."""
        assert self._asked is not None
        (self._answer, kind), self._asked = self._asked, None
        if not control.should_save:
            control.should_save = True
            self._apart = kind == FORENSIC and args.world_size == 1
            if self._apart:
                # The Trainer must not delete a good checkpoint to make room for this one.
                self._limit = (args.save_total_limit,)
                args.save_total_limit = None

    def begin(self, args: Any, state: Any) -> None:
        """The Trainer is about to save."""
        if self._save is None:
            kind = FORENSIC if self._apart else "regular"
            self._save = Save(state.global_step, self._goal(args, state), kind)

    def written(self, args: Any, state: Any) -> None:
        """The Trainer has saved."""
        if state.is_world_process_zero:
            self.begin(args, state)
        save, self._save = self._save, None
        answer, self._answer = self._answer, None
        if self._apart and save is not None:
            save.path.parent.mkdir(exist_ok=True)
            _place(args, state).replace(save.path)
        self._put_back(args)
        if save is None:
            if answer is not None:
                answer.succeeded({"step": state.global_step})
            return
        size = save.written(verify=self._verify)
        if answer is not None and size is None:
            answer.failed("the checkpoint is not whole")
        elif answer is not None:
            detail = {"path": str(save.path), "step": save.step, "kind": save.kind, "bytes": size}
            answer.succeeded(detail)

    def missed(self, args: Any) -> None:
        """Training goes on, or is over, and the save that was due did not come."""
        save, self._save = self._save, None
        answer, self._answer = self._answer, None
        if save is not None:
            save.failed(
                RuntimeError("the Trainer did not save after all: another callback may have objected")
            )
        if answer is not None:
            answer.failed("the Trainer did not save")
        if self._asked is not None:
            (waiting, _), self._asked = self._asked, None
            waiting.failed("training ended")
        self._put_back(args)

    def _put_back(self, args: Any) -> None:
        self._apart = False
        if self._limit is not None:
            (args.save_total_limit,), self._limit = self._limit, None

    def _goal(self, args: Any, state: Any) -> Path:
        place = _place(args, state)
        if not self._apart:
            return place
        folder = place.parent / FORENSIC
        again = len(list(folder.glob(f"{place.name}*")))
        return folder / (f"{place.name}-{again + 1}" if again else place.name)


def _place(args: Any, state: Any) -> Path:
    """Where the Trainer writes the checkpoint of this step."""
    return Path(args.output_dir).absolute() / f"checkpoint-{state.global_step}"

"""Asking once more, then copying; what stands in its way is asked about, not only told."""

from dataclasses import replace

from core.errors import AlreadyThere, SameName
from core.files.outcome import Copied
from core.i18n import _
from core.text import safe
from tui.linear.browse import some_of
from tui.linear.ground import Ground
from tui.linear.talk import Asides


def copy(ground: Ground, plan: Asides) -> Copied | None:
    """Copy what is marked to the chosen target; None where the person goes back."""
    flow, talk = ground.flow, ground.talk
    target, before = flow.target, flow.choices
    if target is None:
        return None
    question = _("Copy {names} to {path}?")
    if before.paths:
        question = _("Copy {names} to {path}, with the guest's whole paths?")
    if not talk.sure(question.format(names=some_of(flow.marked), path=safe(target.word)), plan):
        talk.say(_("Nothing was copied."))
        return None
    told = _("Copying; Ctrl+C stops it and leaves no half file.")

    def work() -> Copied:
        return ground.work(told, flow.road().copy, flow.marked, target, talk.progress, flow.choices)

    try:
        return work()
    except SameName as error:
        talk.say(error.what)
        if not talk.sure(_("Keep the guest's whole paths below the target?"), plan):
            return None
        flow.choices = replace(before, paths=True)  # and so for the script that may be saved
        return work()
    except AlreadyThere as error:
        talk.say(error.what)
        if not talk.sure(_("Replace it?"), plan):
            return None
        flow.choices = replace(before, existing="replace")
        try:
            return work()
        finally:
            flow.choices = before

"""Faults put into the guard, the window and the approvals on purpose: every one must be found by a test.

`make mutants` copies the code that decides, breaks it in one place at a time, and runs rollout's unit tests and the
attacks on the guard against the copy. It prints which mutants survived, and fails when one did.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUDGET = "libs/bundle/src/knarr/bundle/budget.py"
CORE = "services/rollout/src/knarr/rollout/core/"
# The quick ones first; only what they let pass meets the random histories.
TESTS = (
    (
        "libs/bundle/tests/unit/test_budget.py",
        "tests/attacks/test_guard.py",
        "tests/attacks/test_one_cluster.py",
        "tests/attacks/test_sequences.py",
        "services/rollout/tests/unit/test_decide.py",
    ),
    ("services/rollout/tests/unit/test_histories.py",),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`what` in words; `before` must occur once in the file, and becomes `after`."""

    what: str
    file: str
    before: str
    after: str


MUTANTS = (
    Mutant("a share is reached only beyond it", BUDGET, "lost > budget.share * had", "lost > budget.share * had + 1"),
    Mutant("three objects are too few", BUDGET, "lost >= budget.at_least", "lost > budget.at_least"),
    Mutant("earlier deletions do not count", BUDGET, "is_many(tally.going + tally.gone,", "is_many(tally.going,"),
    Mutant("what is gone is no part of what was had", BUDGET, "self.before + self.gone + self.moved", "self.before"),
    Mutant("emptying is no excess", BUDGET, "elif tally.before and not tally.after:", "elif False:"),
    Mutant("protection hides behind removal", BUDGET, "    if tally.protected and budget.hold_protected:",
           "    if tally.protected and budget.hold_protected and not tally.removed:"),
    Mutant("one new name excuses all", BUDGET, "            excuses[name] -= 1\n", ""),
    Mutant("the window never ends", BUDGET, "if at > since}", "if at > 0}"),
    Mutant("the window is over at once", BUDGET, "if at > since}", "if at > now_ms}"),
    Mutant("hooks are objects", CORE + "state.py", "for o in index.objects if not o.hook)", "for o in index.objects)"),
    Mutant("the laxer guards judge", CORE + "guard.py", "max_lost_share=min(", "max_lost_share=max("),
    Mutant("the shorter window judges", CORE + "guard.py", "window_seconds=max(", "window_seconds=min("),
    Mutant("protection of either commit is enough to lose", CORE + "guard.py",
           "hold_protected=one.hold_protected or other", "hold_protected=one.hold_protected and other"),
    Mutant("the new guards judge their own commit", CORE + "intake.py",
           "settings = stricter(state.guards.settings, said.settings)", "settings = said.settings"),
    Mutant("rendered again, the new guards judge", CORE + "intake.py",
           "settings = stricter(settings, state.guards.before)", "pass"),
    Mutant("absent guards change nothing", CORE + "intake.py", "    if settings == now.settings:",
           "    if settings == now.settings or not rendered.guards_json:"),
    Mutant("a grant outlives its target", CORE + "intake.py",
           "grants={app: None for app in targets if app in state.grants},", "grants={},"),
    Mutant("a grant is not used up", CORE + "settle.py", "if c not in clusters}", "}"),
    Mutant("a grant covers whatever goes", CORE + "situations.py",
           "return grant.clusters.get(cluster) == loss_key(going, removed=removed)",
           "return cluster in grant.clusters"),
    Mutant("a grant is for any target", CORE + "situations.py", " or grant.target != target.id", ""),
    Mutant("evidence is not compared", CORE + "approval.py",
           "if not command.evidence or command.evidence != held.evidence:", "if False:"),
    Mutant("an approval never expires", CORE + "approval.py", "if now_ms >= g.approved_ms + APPROVAL_MS", "if False"),
    Mutant("tombstones are approved by themselves", CORE + "assignment.py", "if removal.approved:", "if True:"),
    Mutant("placements are approved by themselves", CORE + "assignment.py", "if placement.approved:", "if True:"),
    Mutant("an approval stays attached", CORE + "enrolment.py", "approved = placement.approved and not used",
           "approved = placement.approved"),
    Mutant("a deferred prune uses its approval up", CORE + "enrolment.py", " and not placement.defer_prune", ""),
    Mutant("every approval opens protected kinds", CORE + "assignment.py",
           "protected=placement.protected", "protected=True"),
    Mutant("a detached cluster prunes", CORE + "decision.py",
           "if state.reachable(cluster)\n            and not failing", "if not failing"),
    Mutant("what is on its way to a stuck app goes", CORE + "decision.py",
           "return bool(wanted) and any(i in ids for i in going for ids in wanted)", "return False"),
    Mutant("a deferred deletion is forgotten with the window", CORE + "situations.py",
           "ids if _is_deferred(placed.get(app)) else within", "within"),
    Mutant("what left is forgotten", CORE + "settle.py", "| dict.fromkeys(away, now_ms)\n\n\ndef", "\n\n\ndef"),
    Mutant("an approval takes all weights away", CORE + "settle.py",
           "if i not in has and _held_elsewhere(state, app, cluster, i)}", "if False}"),
    Mutant("moved objects have no weight", CORE + "situations.py", "came=frozenset(i for cause in causes",
           "came=frozenset(i for cause in ()"),
    Mutant("who deletes what came from another is not held", CORE + "decision.py",
           "to_hold = [*step.causes] if step.came else []", "to_hold = []"),
    Mutant("loosening releases what is held", CORE + "decision.py",
           "return stricter(before, self.settings) if before is not None else self.settings", "return self.settings"),
    Mutant("waiting releases what is held", CORE + "decision.py",
           "return target.judged_ms if target is not None and target.held and target.judged_ms else self.now_ms",
           "return self.now_ms"),
    Mutant("clusters left earlier do not count", CORE + "decision.py", "gone = {c for c in earlier if c not in placed}",
           "gone = set()"),
    Mutant("a removal goes although another app failed", CORE + "decision.py",
           "            if waits and move.ref is None:", "            if False:"),
    Mutant("a step that waits is forgotten", CORE + "intake.py", "if target.waiting or name in state.grants or (",
           "if ("),
    Mutant("any key is believed", CORE + "enrolment.py", "if not _vouched(member, report):", "if False:"),
    Mutant("any generation is believed", CORE + "enrolment.py",
           "0 <= report.generation_seen <= max(LARGEST_GENERATION, member.generation)", "True"),
    Mutant("a signing key is bound before enrolment", CORE + "enrolment.py",
           "ours = member.enrolled and", "ours = not member.enrolled or"),
    Mutant("a commit that comes twice is decided twice", CORE + "transition.py",
           "    if is_decided(work.state, rendered, identity):\n        return\n", ""),
)  # fmt: skip


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether every test passes with the fault in."""
    target = folder / mutant.file
    whole = (ROOT / mutant.file).read_text()
    if whole.count(mutant.before) != 1:
        raise SystemExit(f"{mutant.what}: {mutant.before!r} occurs {whole.count(mutant.before)} times in {mutant.file}")
    target.write_text(whole.replace(mutant.before, mutant.after))
    try:
        return all(_pass(folder, tests) for tests in TESTS)
    finally:
        target.write_text(whole)


def _pass(folder: Path, tests: tuple[str, ...]) -> bool:
    paths = [str(folder / "libs/bundle/src"), str(folder / "services/rollout/src")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "KNARR_FUZZ_EXAMPLES": "60"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", *tests]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0


def main() -> int:
    """How many survived."""
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("libs/bundle/src", "services/rollout/src"):
            shutil.copytree(ROOT / part, folder / part)
        if not all(_pass(folder, tests) for tests in TESTS):
            raise SystemExit("the tests fail without any fault: mend that first")
        for number, mutant in enumerate(MUTANTS, start=1):
            alive = survives(mutant, folder)
            survivors += [mutant.what] if alive else []
            print(f"{number:>3}/{len(MUTANTS)}  {'SURVIVED' if alive else 'found':<9} {mutant.what}", flush=True)
    print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} found" + "".join(f"\n  survived: {s}" for s in survivors))
    return len(survivors)


if __name__ == "__main__":
    sys.exit(main())

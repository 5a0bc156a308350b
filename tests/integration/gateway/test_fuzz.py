"""Three hundred damaged files over HTTP; `make fuzz` sends five thousand."""

import pytest

from neuroscan.stack import Stack
from tests.fuzz.fuzzing import fuzz
from tests.fuzz.mutants import mutant

SEED = 5


def test_damaged_files_are_taken_or_refused_and_harm_no_process(stack: Stack) -> None:
    fuzzed = fuzz(stack, count=300, seed=SEED)
    assert fuzzed.wrongs == []
    statuses = {status for status, _ in fuzzed.answers.counts}
    # Some damage leaves a picture that can be read.
    assert statuses >= {202, 415, 422}
    assert sum(fuzzed.answers.counts.values()) == 300


@pytest.mark.parametrize("number", [0, 17, 4999])
def test_a_damaged_file_is_the_same_each_time(number: int) -> None:
    assert mutant(SEED, number) == mutant(SEED, number)
    assert mutant(SEED, number).content != mutant(SEED + 1, number).content

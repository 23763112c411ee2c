"""Values of sysctls are compared as text, so what is asked for is said as the kernel says it."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netloom.compile.lower import lower
from netloom.compile.settings import normal, settings
from netloom.errors import TopologyError
from netloom.language.parse import parse
from netloom.model.objects import Desired

VECTOR = "net.ipv4.tcp_rmem"
GROUPS = "net.ipv4.ping_group_range"
LOCAL = "net.ipv4.ip_local_port_range"
SET = "net.ipv4.ip_local_reserved_ports"
NAME = "net.ipv4.tcp_congestion_control"
MASK = "net.core.rps_default_mask"
BLANKS = st.text(" \t", min_size=1, max_size=3)
SPELLINGS = (str, hex, lambda number: hex(number).upper().replace("X", "x"), "0{:o}".format)
PORTS = st.integers(0, 65535)


def lowered(text: str) -> Desired:
    """Return what a file desires; its mistakes have their place."""
    source = parse(text, name="lab")
    try:
        return lower(source.topology).desired
    except TopologyError as error:
        raise source.error(error.problems) from None


@st.composite
def spelled(draw: st.DrawFn, number: int) -> str:
    """Draw a way in which C writes a number."""
    text = draw(st.sampled_from(SPELLINGS))(abs(number))
    return f"-{text}" if number < 0 else text


@given(st.lists(st.integers(-(2**31), 2**32 - 1), min_size=1, max_size=4), st.data())
def test_numbers_are_decimal_with_one_blank_between(
    numbers: list[int], data: st.DataObject
) -> None:
    """However they are written: `0x10`, `020` and `16` are one value."""
    text = data.draw(BLANKS).join(data.draw(spelled(number)) for number in numbers)
    around = data.draw(st.text(" \t", max_size=2))

    assert normal(VECTOR, around + text + around) == " ".join(map(str, numbers))


@given(st.lists(st.tuples(PORTS, PORTS).map(sorted), min_size=1, max_size=6), st.data())
def test_a_set_of_ports_is_in_order_with_neighbours_together(
    ranges: list[list[int]], data: st.DataObject
) -> None:
    """What is told are the longest runs, and they hold the same ports."""
    text = ",".join(f"{data.draw(spelled(low))}-{data.draw(spelled(high))}" for low, high in ranges)

    told = [[int(n) for n in part.split("-")] for part in normal(SET, text).split(",")]

    ports = {port for low, high in ranges for port in range(low, high + 1)}
    assert {port for run in told for port in range(run[0], run[-1] + 1)} == ports
    assert all(one[-1] + 1 < two[0] for one, two in pairwise(told))
    assert all(run[0] < run[-1] for run in told if len(run) > 1)


@given(st.text(), st.sampled_from((VECTOR, SET, NAME, MASK)))
@example("08", VECTOR)
@example("08,9", SET)
@example("9-8", SET)
@example("0x", VECTOR)
@example("--1", VECTOR)
def test_what_is_normal_stays_so(text: str, key: str) -> None:
    """Whatever is written, and nothing is refused by a stack trace."""
    once = normal(key, text)

    assert normal(key, once) == once


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (NAME, "reno"),
        (MASK, "010"),
        (VECTOR, "banana"),
        (VECTOR, "08"),
        (SET, "90-80"),
        (SET, "8 9"),
    ],
)
def test_what_only_the_kernel_can_judge_stays_as_it_is(key: str, text: str) -> None:
    """Names, masks of processors (which are hexadecimal), and what is no number."""
    assert normal(key, text) == text


def test_two_spellings_of_a_key_and_of_a_number_agree() -> None:
    """`0x1` and `1` are no contradiction."""
    said = {"net.ipv4.ip_forward": "0x1", "net/ipv4/conf/all/forwarding": "01"}

    assert settings(said) == {"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1"}


MISTAKES = {
    "blanks alone": ("{net.ipv4.tcp_ecn: ' '}", ":1:28: `net.ipv4.tcp_ecn` has no value: leave it"),
    "yes": ("{net.ipv4.tcp_ecn: yes}", ":1:28: `yes` is no value of a setting (write `1`)"),
    "False": ("{net.ipv4.tcp_ecn: False}", ":1:28: `False` is no value of a setting (write `0`)"),
    "a short vector": (f"{{{VECTOR}: 4096}}", f":1:28: `{VECTOR}` is 3 numbers, and here is 1"),
    "a long vector": (f"{{{VECTOR}: 1 2 3 4}}", f":1:28: `{VECTOR}` is 3 numbers, and here are 4"),
    "a range of groups": (f"{{{GROUPS}: 1}}", f":1:28: `{GROUPS}` is 2 numbers, and here is 1"),
    "a range of ports": (f"{{{LOCAL}: 1 2 3}}", f":1:28: `{LOCAL}` is 2 numbers, and here are 3"),
    "a second value": (
        "{net.ipv4.tcp_ecn: 1, net/ipv4/tcp_ecn: 2}",
        ":1:28: `net.ipv4.tcp_ecn` is given twice, with two values",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_value_that_no_kernel_takes_whole_is_a_mistake_with_its_place(what: str) -> None:
    """It is told before anything is touched."""
    text, expected = MISTAKES[what]

    with pytest.raises(TopologyError) as caught:
        lowered(f"namespaces: {{a: {{sysctls: {text}}}}}")

    (one,) = caught.value.problems
    told = f"{str(one).splitlines()[0]} ({one.hint})" if one.hint else str(one)
    assert told.startswith(f"<text>{expected}")


def test_a_name_may_be_a_word_that_means_true_elsewhere() -> None:
    """Whoever writes a congestion control gives it its name."""
    state = lowered(f"namespaces: {{a: {{sysctls: {{{NAME}: on}}}}}}")

    assert state.netns["a"].sysctls[NAME] == "on"

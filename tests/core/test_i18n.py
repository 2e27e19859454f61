"""Sentences and lists as the language writes them."""

from collections.abc import Iterator

import pytest

from core.i18n import _, again, all_of, bracketed, enumerated, listed, noted, sentences, titled, use_language
from core.tables.model import Sources
from core.tables.notes import told


@pytest.fixture
def chinese() -> Iterator[None]:
    use_language("zh_CN")
    yield
    use_language("en")


def test_sentences_follow_each_other() -> None:
    assert sentences(("One.", "", "Two.")) == "One. Two."
    assert sentences(("一。", "二。", "three.", "四。")) == "一。二。three. 四。"
    assert sentences(()) == ""


def test_lists_and_colons(chinese: None) -> None:
    assert listed(("磁盘已读", "", "没有错误")) == "磁盘已读，没有错误"
    assert enumerated(("一", "", "二")) == "一、二"
    assert all_of(("一", "二", "三")) == "一、二和三"
    assert titled("已恢复", "3") == "已恢复：3"


def test_all_of_them() -> None:
    assert [all_of(names) for names in ((), ("one",), ("one", "two"))] == ["", "one", "one and two"]
    assert all_of(("one", "two", "three")) == "one, two and three"


def test_brackets(chinese: None) -> None:
    assert bracketed("只读") == "（只读）"
    assert noted("分区5", "ext4") == "分区5（ext4）"
    assert noted("分区5", "") == "分区5"
    use_language("en")
    assert (bracketed("read"), noted("partition 5", "ext4")) == ("(read)", "partition 5 (ext4)")


def test_no_full_stop_of_the_other_script(chinese: None) -> None:
    sentence = told(Sources("libparted", "sectors", ("sectors", "sfdisk")))
    assert sentence.endswith("。") and ". " not in sentence and ", " not in sentence, sentence


def test_a_sentence_that_was_written_down_is_told_in_the_language_of_now() -> None:
    english = "Make the folder where the volume will appear."
    use_language("zh_CN")
    chinese = _(english)
    assert chinese != english
    assert again(english) == again(chinese) == chinese
    use_language("en")
    assert again(chinese) == english
    assert (again(""), again("Mount 5 at /mnt."), again("没有这句。")) == (
        "",
        "Mount 5 at /mnt.",
        "没有这句。",
    )

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The model by itself: it must know what is promised before it judges anybody."""

import pytest

from model import FREE, HEARTBEAT, HELD, LATE, MANY, UNHEARD, Broken, Change, Lease, Model, Name, World, merged

A, B = "10.0.0.1", "10.0.0.2"


def claim(client="alice", adds=(A,), lease=10.0, key_lease=100.0, **more):
    return Change(client, adds=adds, lease=lease, key_lease=key_lease, **more)


def name_with(change=None, sent=0.0, answered=1.0):
    name = Name("foo")
    name.answer(change or claim(), "NOERROR", sent, answered)
    return name


def test_a_claim_shows_from_the_answer_to_its_granted_end():
    name = name_with()
    assert name.must_show(9.9) == {A}
    assert name.must_show(10.1) == set()  # sent at 0: it may have been granted then
    assert name.may_show(11 + LATE - 0.1) == {A}
    assert name.may_show(11 + LATE + 0.1) == set()
    assert name.may_show(11 + LATE + 0.1, slack=1) == {A}
    assert name.owners(5, 6) == ({"alice"}, False)
    assert name.certain_owner(6) == "alice"


def test_the_owner_is_never_refused():
    for change in (claim(), claim(adds=(B,), absolute=True), Change("alice", deletes=(A,), key_lease=100, lease=10),
                   Change("alice", release=True)):
        with pytest.raises(Broken) as error:
            name_with().answer(change, "REFUSED", 2, 3)
        assert error.value.sentence == "owner-refused"


def test_a_free_name_is_refused_to_nobody():
    with pytest.raises(Broken) as error:
        Name("foo").answer(claim(), "REFUSED", 2, 3)
    assert error.value.sentence == "owner-refused"


def test_nobody_else_gets_a_name_while_its_key_lease_runs():
    name = name_with()
    name.answer(claim("bob"), "REFUSED", 50, 51)
    assert name.certain_owner(60) == "alice"
    with pytest.raises(Broken) as error:
        name.answer(claim("bob"), "NOERROR", 98, 99)
    assert error.value.sentence == "owner-change"


def test_around_the_end_of_a_key_lease_both_are_right():
    for rcode in ("NOERROR", "REFUSED"):
        name_with().answer(claim("bob"), rcode, 100.5, 101)
    with pytest.raises(Broken):
        name_with().answer(claim("bob"), "REFUSED", 101 + LATE + 0.1, 106)
    name = name_with()
    name.answer(claim("bob", adds=(B,)), "NOERROR", 106, 107)
    assert name.owners(108, 109) == ({"bob"}, False) and name.mentioned() == {B}


def test_without_an_answer_it_is_one_of_two():
    name = name_with()
    name.answer(claim(adds=(B,), absolute=True), None, 2, 3)
    assert len(name.worlds) == 2 and not name.published
    assert name.must_show(3) == set() and name.may_show(4) == {A, B}
    # Heard by somebody, at any time until it surely was.
    assert name.may_show(3 + UNHEARD + 10 + LATE - 0.1) == {B}
    name.answer(claim(adds=(A,)), "NOERROR", 5, 6)
    assert name.must_show(6) == {A} and name.may_show(6) == {A, B}
    name.answer(claim(adds=(A,), absolute=True), "NOERROR", 7, 8)
    assert name.mentioned() == {A} and name.published


def test_an_unanswered_release_lets_both_be_right():
    for rcode, owner in (("NOERROR", "bob"), ("REFUSED", "alice")):
        name = name_with()
        name.answer(Change("alice", release=True), None, 2, 3)
        name.answer(claim("bob", adds=(B,)), rcode, 4, 5)
        assert name.certain_owner(6) == owner


def test_a_repeated_release_is_a_release():
    name = name_with()
    name.answer(Change("alice", release=True), None, 2, 3)
    name.answer(Change("alice", release=True), "NOERROR", 4, 5)
    assert name.worlds == [FREE]


def test_servfail_may_stand():
    name = Name("foo")
    name.answer(claim(), "SERVFAIL", 0, 1)
    assert name.owners(2, 3) == ({"alice"}, True)
    name.answer(claim("bob"), "REFUSED", 2, 3)
    assert name.certain_owner(4) == "alice"


def test_a_claim_needs_key_and_a_record():
    Name("foo").answer(claim(key=False), "REFUSED", 0, 1)
    with pytest.raises(Broken):
        Name("foo").answer(claim(key=False), "NOERROR", 0, 1)
    for change in (claim(adds=()), claim(lease=0)):
        for rcode in ("REFUSED", "NOERROR"):
            name = Name("foo")
            name.answer(change, rcode, 0, 1)
            assert name.worlds == [FREE]


def test_lease_of_nothing_withdraws_and_keeps_the_name():
    name = name_with()
    name.answer(Change("alice", lease=0, key_lease=50), "NOERROR", 2, 3)
    assert name.mentioned() == set() and name.certain_owner(51) == "alice"


def test_the_key_lives_as_long_as_its_records():
    name = name_with(claim(lease=30, key_lease=5))
    assert name.certain_owner(29) == "alice"


def test_what_belongs_to_a_server_is_nobodys():
    name = Name("foo")
    name.foreign = True
    name.answer(claim(), "SERVFAIL", 0, 1)
    name.answer(claim(), "REFUSED", 2, 3)
    assert FREE in name.worlds


def test_what_comes_back_undoes_only_what_was_never_published():
    name = name_with()
    name.became_foreign()
    assert FREE not in name.worlds
    name = Name("foo")
    name.answer(claim(), "SERVFAIL", 0, 1)
    name.answer(claim(), "SERVFAIL", 2, 3)
    name.became_foreign()
    assert FREE in name.worlds


def test_too_much_that_may_be_is_judged_no_more():
    name = name_with()
    name.foreign = True
    for i in range(40):
        name.answer(claim(adds=(f"10.0.0.{i}",)), "SERVFAIL", 2 + i, 3 + i)
    assert name.unclear and name.worlds == [FREE]


def model_with(grace=20.0, change=None):
    model = Model(grace)
    model.name("foo").answer(change or claim(), "NOERROR", 0, 1)
    return model, model.name("foo")


def test_a_clean_stop_moves_no_end_but_for_the_grace():
    model, name = model_with()
    model.started(down=5, spawned=6, ready=7)
    assert name.must_show(26.9) == {A} and name.may_show(27 + LATE + 0.1) == set()
    model, name = model_with(change=claim(lease=60))
    model.started(down=5, spawned=6, ready=7)
    assert name.must_show(59) == {A} and name.may_show(61 + LATE + 0.1) == set()


def test_an_hour_off_takes_no_name_from_anybody():
    model, name = model_with()
    model.started(down=5, spawned=3605, ready=3606)
    assert name.must_show(3625) == {A}
    name.answer(claim("bob"), "REFUSED", 3700, 3701)
    assert name.certain_owner(3606 + HELD - LATE - 1) == "alice"
    assert name.owners(3606 + HELD + 10, 3606 + HELD + 11) == ({"alice"}, True) or name.owners(
        3606 + HELD + 10, 3606 + HELD + 11)[1]


def test_what_had_ended_before_stays_ended_and_is_not_taken_for_removed():
    model, name = model_with()
    model.started(down=30, spawned=31, ready=32)
    assert name.may_show(33) == set() and name.mentioned() == {A} and name.certain_owner(90) == "alice"


def test_after_a_power_cut_it_may_end_late_but_not_early():
    model, name = model_with()
    model.cut(5)
    model.started(down=5, spawned=6, ready=7)
    assert name.must_show(26) == {A}
    assert name.may_show(5 + HEARTBEAT + 10 + LATE - 0.1) == {A}
    assert name.may_show(5 + HEARTBEAT + 10 + LATE + 0.1) == set()


def test_an_answer_that_comes_in_behind_a_restart_is_judged_with_it():
    model = Model(20.0)
    name = model.name("foo")
    model.cut(5)
    model.started(down=5, spawned=6, ready=7)
    name.answer(claim(), "NOERROR", 4, 4.5, model.events)
    assert name.must_show(26) == {A} and name.may_show(70) == {A}


def test_a_full_disk_makes_ends_late():
    model, name = model_with()
    model.late_until(40, since=5)
    assert name.must_show(9) == {A} and name.may_show(42) == {A} and not name.may_show(44)


def test_many_worlds_are_taken_together_soundly():
    worlds = [World.of("alice", Lease(i, i + 5, 5), {A: Lease(i, i + 2, 2)}) for i in range(MANY + 3)]
    one = merged(worlds)
    assert len(one) == 1 and one[0].key == Lease(0, MANY + 7, 5) and one[0].leases[A] == Lease(0, MANY + 4, 2)
    assert merged(worlds[:3]) == worlds[:3]


def test_in_the_grace_nothing_has_to_end():
    model, name = model_with()
    model.started(down=5, spawned=6, ready=7)
    name.answer(claim(lease=2), "NOERROR", 8, 9, model.events, model.grace_until)
    assert name.must_show(9.9) == {A} and name.may_show(27 + LATE - 0.1) == {A} and not name.may_show(27 + LATE + 0.1)


def test_taking_away_from_nobody_publishes_nothing():
    name = name_with()
    name.answer(Change("alice", release=True), "SERVFAIL", 2, 3)
    name.answer(Change("alice", deletes=(A,), lease=5, key_lease=9), "NOERROR", 3, 4)
    assert not name.published


def test_a_zone_that_is_not_served_says_nothing_of_a_foreign_name():
    name = name_with()
    name.became_foreign()
    before = set(name.worlds)
    name.answer(claim(adds=(B,)), "NOTAUTH", 3, 4)
    assert set(name.worlds) == before | {FREE}

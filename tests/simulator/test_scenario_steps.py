"""How the steps of a scenario follow each other: variables, times, conditions, the background, faults, ends before the end."""

from __future__ import annotations

import pytest
from scenario_rig import HANDSET, HEAD, ScenarioRig, failure, played

from gateway.smpp.constants import CommandStatus
from gateway.smpp.pdu import Unbind, UnbindResp, encode


def statuses(result: object) -> list[str]:
    return [step.status for step in result.steps]  # type: ignore[attr-defined]


def replying(texts: list[bytes]) -> object:
    """Binds; answers each MO with the next of these texts."""

    def script(rig: ScenarioRig) -> None:
        esme = rig.bound()
        answered = 0
        for _ in range(100):
            rig.advance(0.1)
            for _ in esme.delivered()[answered : len(texts)]:
                esme.submit(texts[answered], source_addr="8083", registered_delivery=0)
                answered += 1

    return script


def test_what_one_step_saves_another_one_uses() -> None:
    steps = f"""
  - expect: {{bind: {{}}}}
  - mo: {{from: "{HANDSET}", to: "8083", text: dang ky}}
    save: {{id: message_id}}
  - expect: {{text: {{matches: "ma (?P<code>[0-9]+)"}}}}
    save: {{sender: from, copy: copy}}
  - mo: {{from: "{HANDSET}", to: "8083", text: "xac nhan ${{code}}", account: acc}}
    name: confirms ${{code}}
  - expect: {{text: {{equals: "xong ${{code}}", from: "${{sender}}"}}}}
  - expect: {{mo_answer: {{step: "confirms ${{code}}"}}}}
"""
    rig = ScenarioRig(steps)
    replying([b"ma 4711", b"xong 4711"])(rig)  # type: ignore[operator]
    result = rig.finish()
    assert result.passed, failure(result)
    sent = [mo.request.text for mo in rig.simulator.mos.of(HANDSET)]
    assert sent == ["dang ky", "xac nhan 4711"]


def test_a_field_that_nothing_has_cannot_be_saved() -> None:
    steps = "  - expect: {bind: {}}\n    save: {x: colour}\n"
    assert "there is no 'colour' to save. There is: account, at, kind" in failure(
        played(steps, ScenarioRig.bound)
    ).replace("at, mode", "at, kind, mode")


@pytest.mark.parametrize(("value", "runs"), [("yes", True), ("", False), ("false", False), ("0", False), ("No", False)])
def test_steps_with_a_condition(value: str, runs: bool) -> None:
    steps = """
  - when: ${flag}
    wait: 10ms
  - unless: ${flag}
    wait: 10ms
  - wait: 0
"""
    result = played(steps, head=f"parameters: {{flag: '{value}'}}{HEAD}")
    assert statuses(result) == (["passed", "left_out", "passed"] if runs else ["left_out", "passed", "passed"])


def test_a_condition_as_yaml_writes_it() -> None:
    assert statuses(played("  - when: no\n    wait: 0\n  - when: yes\n    wait: 0\n")) == ["left_out", "passed"]


def test_a_step_whose_variable_was_left_out_says_so() -> None:
    steps = """
  - when: ""
    mo: {from: "84905123456", to: "8083", text: x}
    save: {id: message_id}
  - wait: ${id}
"""
    assert "nobody has set ${id}. The step that saves it was left out" in failure(played(steps))


def test_times_every_and_the_counter() -> None:
    steps = """
  - expect: {bind: {}}
  - mo: {from: "84905${i:06d}", to: "8083", text: "so ${i}"}
    times: 3
    every: 500ms
  - expect: {mo_answer: {}, at_least: 3}
"""
    rig = ScenarioRig(steps)
    rig.bound()
    result = rig.finish()
    assert result.passed
    mos = [rig.simulator.mos.of(f"8490500000{n}")[0] for n in (1, 2, 3)]
    assert [mo.request.text for mo in mos] == ["so 1", "so 2", "so 3"]
    assert mos[2].at - mos[0].at == pytest.approx(1.0, abs=0.11)  # the clock goes in steps


def test_a_step_at_its_time() -> None:
    rig = ScenarioRig("  - wait: 1s\n  - at: 3s\n    fault: throttle\n  - at: 2s\n    clear: throttle\n")
    result = rig.finish()
    assert [round(step.at_s, 1) for step in result.steps] == [0.0, 3.0, 3.0]


def test_the_background_is_waited_for_at_the_end() -> None:
    steps = """
  - expect: {bind: {}}
  - expect: {text: {contains: cuoi}, within: 5s}
    background: true
  - never: {submit_sm: {contains: xau}, for: 4s}
    background: true
  - fault: {kind: throttle, for: 1s}
  - expect: {submit_sm: {status: ESME_RTHROTTLED}}
"""

    def esme(last: bytes) -> object:
        def script(rig: ScenarioRig) -> None:
            bound = rig.bound()
            rig.advance(0.2)
            bound.submit(b"dau")
            rig.advance(1.5)
            bound.submit(last)

        return script

    result = played(steps, esme(b"cuoi"))
    assert result.passed, failure(result)
    assert [step.number for step in result.steps] == [1, 4, 5, 2, 3]
    result = played(steps, esme(b"xau"))
    assert [(step.number, step.status) for step in result.steps if step.status == "failed"] == [
        (2, "failed"),
        (3, "failed"),
    ]


def test_faults_and_their_end() -> None:
    steps = """
  - expect: {bind: {}}
  - fault: {kind: status, status: ESME_RINVDSTADR, count: 1}
  - expect: {submit_sm: {status: ESME_RINVDSTADR}}
  - fault: queue-full
  - expect: {submit_sm: {status: ESME_RMSGQFUL}}
  - clear: queue-full
  - expect: {submit_sm: {status: ESME_ROK}}
"""

    def script(rig: ScenarioRig) -> None:
        esme = rig.bound()
        for _ in range(3):
            rig.advance(0.3)
            esme.submit()

    assert played(steps, script).passed


def test_an_outage_ends_sessions_and_closes_the_port_for_its_time() -> None:
    steps = """
  - expect: {bind: {}}
  - outage: {for: 2s, ending: unbind}
  - expect: {unbound: {}}
  - expect: {links: {exactly: 0}}
  - expect: {bind: {}}
"""
    rig = ScenarioRig(steps)
    port = rig.simulator._listening[0]
    esme = rig.bound()
    rig.advance(0.1)
    assert any(isinstance(pdu, Unbind) for pdu in esme.received)
    assert not port.listening  # type: ignore[attr-defined]
    number = next(pdu.sequence_number for pdu in esme.received if isinstance(pdu, Unbind))
    esme.write(encode(UnbindResp(number)))
    rig.advance(1.5)
    assert len(rig.simulator._listening) == 1  # the control interface
    rig.advance(0.6)
    assert len(rig.simulator._listening) == 2
    rig.bound()
    assert rig.finish().passed


def test_a_failure_ends_the_scenario_and_the_rest_is_not_run() -> None:
    result = played("  - wait: 0\n  - expect: {text: {}, within: 1s}\n  - wait: 5s\n  - wait: 5s\n", ScenarioRig.bound)
    assert statuses(result) == ["passed", "failed", "not_run", "not_run"]
    assert result.seconds < 2
    [failed] = result.failed
    assert (failed.number, failed.line) == (2, 8)


def test_the_limit_of_the_whole() -> None:
    result = played("  - wait: 1s\n  - wait: 100s\n  - wait: 1s\n", head="limit: 5s" + HEAD)
    assert statuses(result) == ["passed", "failed", "not_run"]
    assert "the scenario's limit of 5 s is over" in failure(result)
    assert result.seconds == pytest.approx(5.0, abs=0.1)


def test_a_refused_action_is_a_failed_step() -> None:
    result = played('  - mo: {from: "xyz", to: "8083", text: a}\n')
    assert "'xyz' is not a telephone number" in failure(result)
    result = played('  - balance: {phone: "84905123456", vnd: 5}\n')
    assert "it does not charge" in failure(result)


def test_a_step_that_follows_a_bind_does_not_run_inside_its_handling() -> None:
    """The bind's answer must leave before the cut that the next step orders."""
    rig = ScenarioRig("  - expect: {bind: {}}\n  - fault: cut\n  - expect: {unbound: {}}\n")
    esme = rig.esme()
    assert esme.bind() == CommandStatus.ESME_ROK
    assert rig.finish().passed


def test_mo_in_every_way() -> None:
    steps = """
  - expect: {bind: {}}
  - mo:
      from: "0905 123 456"
      to: 8083
      text: "Hồ sơ của tôi đến đâu rồi? Hồ sơ của tôi đến đâu rồi? Hồ sơ của tôi đến đâu rồi?"
      form: sar
      order: [2, 1, 1]
      tlvs: ["0x1402=text", {tag: 0x1501, value: "0102"}]
  - expect: {pdu: {command: deliver_sm_resp, status: ESME_ROK}, exactly: 3}
  - mo: {from: "84905123456", to: "8083", octets: "050003010201 41", esm_class: 0x40, data_coding: 0x04}
  - expect: {pdu: {command: deliver_sm, direction: out, fields: {esm_class: 64, data_coding: 4}}}
  - expect: {mo_answer: {status: ESME_ROK}, at_least: 2}
"""
    rig = ScenarioRig(steps)
    esme = rig.bound()
    result = rig.finish()
    assert result.passed, failure(result)
    first, second, third, _ = esme.delivered()
    assert second.tlvs == third.tlvs != first.tlvs
    assert {tlv.tag for tlv in first.tlvs} >= {0x020C, 0x020E, 0x020F, 0x1402, 0x1501}
    assert first.source_addr == HANDSET


def test_the_seed_repeats_what_is_drawn() -> None:
    head = "seed: 7\nsimulator: {accounts: {acc: {port: 2775, statuses: {weights: {0: 1, 0x14: 1}}}}}"

    def seen() -> list[int]:
        rig = ScenarioRig("  - expect: {submit_sm: {}, at_least: 20}\n", head)
        esme = rig.bound()
        answers = [esme.submitted().command_status for _ in range(20)]
        assert rig.finish().seed == 7
        return answers

    first = seen()
    assert len(set(first)) == 2
    assert seen() == first


def test_since_a_step_that_was_left_out() -> None:
    steps = """
  - name: maybe
    when: ""
    wait: 0
  - expect: {bind: {}, since: maybe}
"""
    assert "the step 'maybe' was left out" in failure(played(steps, ScenarioRig.bound))


def test_pdus_are_seen_though_the_settings_keep_none() -> None:
    head = "simulator: {control: {pdu_entries: 0}, record: {memory_entries: 0}, accounts: {acc: {port: 2775}}}"
    steps = "  - expect: {pdu: {command: bind_transceiver}}\n  - expect: {bind: {}}\n"
    assert played(steps, ScenarioRig.bound, head).passed

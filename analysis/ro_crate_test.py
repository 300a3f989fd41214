"""ro_crate.py: structure of the crate, what the profile requires, hashes, hostile words, and input that cannot be used."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import unittest
from datetime import datetime
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import unquote

from analysis import ro_crate
from analysis.read.citation import read_citation

REFERENCE = Path(__file__).parents[1] / "results/smoke/reference"
ACTION_STATUS = "http://schema.org/{}ActionStatus"
HOSTILE = '</script>"\\\'\n\u2028<img src=x onerror=alert(1)>, {"@id": "./"} \x00 \u202e'


def references(value: Any) -> Iterator[str]:
    """Every @id that an entity's properties name."""
    if isinstance(value, list):
        for entry in value:
            yield from references(entry)
    elif isinstance(value, dict):
        yield value["@id"]


class RoCrateTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.run_directory = Path(temporary.name) / "run"
        self.run_directory.mkdir()
        for name in ("samples.csv", "cases.csv", "manifest.json"):
            shutil.copyfile(REFERENCE / name, self.run_directory / name)
        (self.run_directory / "verdict.json").write_text("{}\n", encoding="utf-8")

    def change_manifest(self, **changes: Any) -> dict[str, Any]:
        """Sets keys of the manifest; its launches are `launches` or the reference's."""
        path = self.run_directory / "manifest.json"
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) | changes
        path.write_text(json.dumps(manifest), encoding="utf-8")
        return manifest

    def change_launch(self, **changes: Any) -> dict[str, Any]:
        launch: dict[str, Any] = self.change_manifest()["launches"][0] | changes
        self.change_manifest(launches=[launch])
        return launch

    def command(self, *arguments: str) -> tuple[int, str]:
        """Exit status and errors."""
        errors = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            status = ro_crate.main([str(self.run_directory), *arguments])
        return status, errors.getvalue()

    def crate(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """The entities by @id; each is there once, and whatever one names is there."""
        self.assertEqual(self.command(*arguments), (0, ""))
        text = (self.run_directory / "ro-crate-metadata.json").read_text(encoding="ascii")
        document = json.loads(text)
        self.assertEqual(
            document["@context"], ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
        )
        entities = {entity["@id"]: entity for entity in document["@graph"]}
        self.assertEqual(len(entities), len(document["@graph"]))
        outside = {"https://w3id.org/ro/crate/1.1"}
        for entity in document["@graph"]:
            self.assertIsInstance(entity["@type"], str)
            for name, value in entity.items():
                named = {reference for reference in references(value)}
                self.assertLessEqual(named, entities.keys() | outside, f"{entity['@id']}: {name}")
        return entities

    @staticmethod
    def of_type(entities: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
        return [entity for entity in entities.values() if entity["@type"] == kind]

    def action(self, *arguments: str) -> dict[str, Any]:
        (action,) = self.of_type(self.crate(*arguments), "CreateAction")
        return action

    def assert_refused(self, pattern: str) -> None:
        """One line, exit status 2, and nothing written."""
        status, errors = self.command()
        self.assertEqual(status, 2, errors)
        self.assertRegex(errors, rf"\Aro_crate: [^\n]*{pattern}[^\n]*\n\Z")
        self.assertFalse((self.run_directory / "ro-crate-metadata.json").exists())

    def test_root_and_descriptor(self) -> None:
        entities = self.crate()
        descriptor, root = entities["ro-crate-metadata.json"], entities["./"]
        self.assertEqual(descriptor["about"], {"@id": "./"})
        self.assertEqual(descriptor["conformsTo"], {"@id": "https://w3id.org/ro/crate/1.1"})
        self.assertEqual(root["@type"], "Dataset")
        self.assertEqual(root["conformsTo"], {"@id": "https://w3id.org/ro/wfrun/process/0.5"})
        self.assertEqual(entities["https://w3id.org/ro/wfrun/process/0.5"]["@type"], "CreativeWork")
        citation = read_citation()
        self.assertEqual(root["license"], {"@id": f"https://spdx.org/licenses/{citation.licence}"})
        for property_name in ("name", "description", "mentions", "author"):
            self.assertTrue(root[property_name], property_name)
        self.assertEqual(datetime.fromisoformat(root["datePublished"]), datetime.fromisoformat("2026-11-22T15:34:30+00:00"))

    def test_a_launch_is_an_action(self) -> None:
        entities = self.crate()
        (action,) = self.of_type(entities, "CreateAction")
        self.assertEqual(list(references(entities["./"]["mentions"])), [action["@id"]])
        self.assertEqual((action["startTime"], action["endTime"]), ("2026-11-22T15:34:19+00:00", "2026-11-22T15:34:30+00:00"))
        self.assertEqual(action["actionStatus"], ACTION_STATUS.format("Completed"))
        self.assertNotIn("error", action)
        software = entities[action["instrument"]["@id"]]
        self.assertEqual(software["@type"], "SoftwareApplication")
        revision = "550df873351a69c6713c263b90518805624b0d47"
        self.assertEqual((software["@id"], software["softwareVersion"]), (f"swh:1:rev:{revision}", revision))
        self.assertEqual(list(references(action["result"])), ["cases.csv", "samples.csv"])
        consumed = [entities[identifier] for identifier in references(action["object"])]
        self.assertEqual([entity["@type"] for entity in consumed], ["CreativeWork", "PropertyValue"])
        self.assertIn("name: smoke\n", consumed[0]["text"])
        self.assertEqual(consumed[0]["sha256"], hashlib.sha256(consumed[0]["text"].encode()).hexdigest())
        self.assertEqual((consumed[1]["name"], consumed[1]["value"]), ("ranks", 2))

    def test_the_machine_and_what_the_software_needs(self) -> None:
        entities = self.crate()
        (action,) = self.of_type(entities, "CreateAction")
        machine = entities[action["location"]["@id"]]
        facts = {entities[name]["name"]: entities[name]["value"] for name in references(machine["additionalProperty"])}
        self.assertEqual(facts["CPU"], "AMD EPYC")
        self.assertIn("avx512", facts["instruction sets"])
        self.assertIn("L2 Unified 1048576 bytes", facts["caches"])
        (library,) = references(entities[action["instrument"]["@id"]]["softwareRequirements"])
        self.assertEqual((entities[library]["name"], entities[library]["softwareVersion"]), ("Open MPI v4.1.4", "4.1.4"))

    def test_files_with_sizes_and_hashes(self) -> None:
        (self.run_directory / "logs").mkdir()
        (self.run_directory / "logs/a b#ü%.log").write_bytes(b"")
        (self.run_directory / ".lock").write_bytes(b"")
        (self.run_directory / "link").symlink_to("/etc/hostname")
        self.crate()
        entities = self.crate()  # the crate's own file is none of its parts
        parts = list(references(entities["./"]["hasPart"]))
        files = [entity["@id"] for entity in self.of_type(entities, "File")]
        self.assertEqual(parts, files)
        names = {unquote(identifier) for identifier in files}
        self.assertEqual(names, {"samples.csv", "cases.csv", "manifest.json", "verdict.json", "logs/a b#ü%.log"})
        for identifier in files:
            content = (self.run_directory / unquote(identifier)).read_bytes()
            self.assertEqual(entities[identifier]["sha256"], hashlib.sha256(content).hexdigest())
            self.assertEqual(entities[identifier]["contentSize"], str(len(content)))
        self.assertIn("logs/a%20b%23%C3%BC%25.log", files)

    def test_the_verdict_is_based_on_the_measurements_and_no_launch_result(self) -> None:
        entities = self.crate()
        based_on = set(references(entities["verdict.json"]["isBasedOn"]))
        self.assertEqual(based_on, {"samples.csv", "cases.csv", "manifest.json"})

    def test_packed_samples(self) -> None:
        (self.run_directory / "samples.csv").rename(self.run_directory / "samples.csv.xz")
        entities = self.crate()
        (action,) = self.of_type(entities, "CreateAction")
        self.assertIn("samples.csv.xz", list(references(action["result"])))
        self.assertIn("every measured time", entities["samples.csv.xz"]["description"])
        self.assertEqual(entities["samples.csv.xz"]["encodingFormat"], "application/x-xz")

    def test_the_same_directory_gives_the_same_text(self) -> None:
        self.crate()
        path = self.run_directory / "ro-crate-metadata.json"
        first = path.read_bytes()
        self.assertNotIn(str(self.run_directory).encode(), first)
        self.crate()
        self.assertEqual(path.read_bytes(), first)
        self.assertEqual([name for name in os.listdir(self.run_directory) if name.startswith(".")], [])

    def test_launches_that_failed_say_how(self) -> None:
        endings: tuple[tuple[dict[str, Any], str], ...] = (
            ({"exit_status": 1}, "exit status 1: all was measured, but some case failed"),
            ({"exit_status": 3}, "exit status 3: stopped early"),
            ({"exit_status": 134}, "exit status 134: a rank crashed or was killed"),
            ({"exit_status": None, "ended": None}, "killed"),
        )
        for changes, error in endings:
            with self.subTest(error):
                self.change_launch(**{"ended": "2026-11-22T15:34:30Z"} | changes)
                action = self.action()
                self.assertEqual(action["actionStatus"], ACTION_STATUS.format("Failed"))
                self.assertTrue(action["error"].startswith(error), action["error"])
                self.assertEqual("endTime" in action, "ended" not in changes)

    def test_launches_share_a_machine_and_have_ids_of_their_own(self) -> None:
        launch = self.change_launch()
        parts = [launch | {"merged_from": "a"}, launch | {"merged_from": "b"}, launch | {"launch": 1000, "cpu": "other"}]
        self.change_manifest(launches=parts)
        entities = self.crate()
        actions = self.of_type(entities, "CreateAction")
        self.assertEqual([action["@id"] for action in actions], ["#launch-0", "#launch-0-2", "#launch-1000"])
        self.assertEqual([action["location"]["@id"] for action in actions], ["#machine-0", "#machine-0", "#machine-1"])

    def test_parts_of_several_revisions_keep_theirs(self) -> None:
        launch = self.change_launch()
        self.change_manifest(
            launches=[launch | {"merged_from": "a"}, launch | {"launch": 1, "merged_from": "b"}],
            merged_from=["a", "b"],
            mixed_git_revision=["a" * 40, "b" * 40],
        )
        actions = self.of_type(self.crate(), "CreateAction")
        self.assertEqual([action["instrument"]["@id"] for action in actions], [f"swh:1:rev:{letter * 40}" for letter in "ab"])

    def test_a_changed_tree_is_no_revision(self) -> None:
        self.change_manifest(git_dirty=True)
        entities = self.crate()
        (action,) = self.of_type(entities, "CreateAction")
        software = entities[action["instrument"]["@id"]]
        self.assertTrue(software["@id"].startswith("#benchmark_qwen3-"))
        self.assertTrue(software["softwareVersion"].endswith(" with uncommitted changes"))

    def test_who_ran_it(self) -> None:
        self.assertNotIn("agent", self.action())
        self.assertEqual(self.crate("--agent", HOSTILE)["#agent"]["name"], HOSTILE)

    def test_hostile_words_stay_values(self) -> None:
        self.change_launch(cpu=HOSTILE, mpi=HOSTILE, hosts=[{"host": HOSTILE, "cpus": "0"}])
        config = f"# {HOSTILE}"
        digest = hashlib.sha256(config.encode()).hexdigest()
        words = {"title": HOSTILE, "experiment": HOSTILE, "compiler": HOSTILE, "flags": HOSTILE, "git_revision": "../" + HOSTILE}
        self.change_manifest(config=config, config_sha256=digest, **words)
        with contextlib.suppress(OSError):  # not every file system takes it
            (self.run_directory / os.fsdecode(b"\xff\"<b>'\n.txt")).write_bytes(b"x")
        entities = self.crate()
        for identifier in entities:
            self.assertRegex(identifier, r"\A[A-Za-z0-9#%./:_~-]+\Z")
        self.assertIn(HOSTILE, entities["./"]["description"])
        self.assertIn(f"# {HOSTILE}", entities["#experiment"]["text"])

    def test_manifests_that_cannot_be_used(self) -> None:
        good = self.change_manifest()
        launch = good["launches"][0]
        broken: tuple[tuple[dict[str, Any], str], ...] = (
            ({"launches": []}, "'launches' is missing or empty"),
            ({"title": "\ud800"}, "half a surrogate pair"),
            ({"launches": 3}, "'launches' is not a list"),
            ({"launches": [launch, 3]}, "'launches' is not a list of objects"),
            ({"launches": [launch | {"started": "yesterday"}]}, r"launches\[0\]: 'started' is not a time: 'yesterday'"),
            ({"launches": [launch | {"started": None}]}, r"launches\[0\]: 'started' is missing"),
            ({"launches": [launch | {"ended": 3}]}, r"launches\[0\]: 'ended' is not a str"),
            ({"launches": [launch | {"ranks": True}]}, r"launches\[0\]: 'ranks' is not a int"),
            ({"launches": [launch | {"launch": -1}]}, r"launches\[0\]: 'launch' is negative: -1"),
            ({"launches": [launch | {"hosts": [{}]}]}, r"launches\[0\]: hosts: 'host' is missing"),
            ({"launches": [launch | {"exit_status": "0"}]}, "'exit_status' is not a int"),
            ({"config": good["config"] + " "}, "'config_sha256' is not the hash of 'config'"),
            ({"config": None}, "'config' is missing"),
            ({"git_revision": 3}, "'git_revision' is not a str"),
            ({"schema_version": 99}, "schema_version 99 is unknown"),
            ({"merged_from": ["a"], "mixed_git_revision": ["a", "b"]}, "'mixed_git_revision' has not a str for each part"),
        )
        for changes, pattern in broken:
            with self.subTest(pattern):
                (self.run_directory / "manifest.json").write_text(json.dumps(good | changes), encoding="utf-8")
                self.assert_refused(pattern)

    def test_directories_that_cannot_be_used(self) -> None:
        (self.run_directory / "cases.csv").unlink()
        self.assert_refused("cases.csv: no such file")
        (self.run_directory / "manifest.json").write_text("{\n", encoding="utf-8")
        self.assert_refused("manifest.json line 2, column 1")
        (self.run_directory / "manifest.json").unlink()
        self.assert_refused("manifest.json: no such file")
        self.run_directory = self.run_directory / "none"
        self.assert_refused("none: no such directory")

    def test_what_cannot_be_written(self) -> None:
        (self.run_directory / "ro-crate-metadata.json").mkdir()
        status, errors = self.command()
        self.assertEqual((status, errors.count("\n")), (2, 1), errors)
        self.assertIn("cannot be written", errors)
        self.assertEqual([name for name in os.listdir(self.run_directory) if name.startswith(".")], [])


if __name__ == "__main__":
    unittest.main()

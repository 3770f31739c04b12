"""The unit as systemd puts it together, from a folder of unit files."""

from pathlib import Path

from slurmwatchd.operations.doctor.unit import DEFAULT_PATH, Unit, find


def put(root: Path, name: str, text: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def found(root: Path, name: str = "slurmwatchd.service") -> Unit:
    unit = find(name, root=root)
    assert unit is not None
    return unit


def test_no_unit_and_a_masked_one(tmp_path: Path) -> None:
    assert find("slurmwatchd.service", root=tmp_path) is None
    put(tmp_path, "lib/systemd/system/slurmwatchd.service", "[Service]\nUser=a\n")
    assert found(tmp_path, "slurmwatchd").user == "a"
    masked = tmp_path / "etc/systemd/system/slurmwatchd.service"
    masked.parent.mkdir(parents=True)
    masked.symlink_to("/dev/null")
    assert find("slurmwatchd.service", root=tmp_path) is None


def test_drop_ins_count_in_the_order_of_their_names_and_etc_hides_usr(tmp_path: Path) -> None:
    unit = put(tmp_path, "usr/lib/systemd/system/slurmwatchd.service", "[Service]\nProtectHome=yes\nUser=a\n")
    put(tmp_path, "usr/lib/systemd/system/slurmwatchd.service.d/50-site.conf", "[Service]\nUser=hidden\n")
    site = put(tmp_path, "etc/systemd/system/slurmwatchd.service.d/50-site.conf", "[Service]\nUser=b\n")
    last = put(tmp_path, "run/systemd/system/slurmwatchd.service.d/90.conf", "[Service]\nProtectHome=read-only\n")
    every = put(tmp_path, "etc/systemd/system/service.d/10-all.conf", "[Service]\nUser=z\nUMask=0077\n")
    made = found(tmp_path)
    assert made.files == (unit, every, site, last)
    assert (made.user, made.last("ProtectHome"), made.last("UMask")) == ("b", "read-only", "0077")


def test_lists_add_up_until_an_empty_assignment(tmp_path: Path) -> None:
    put(
        tmp_path, "etc/systemd/system/w.service",
        "[Unit]\nUser=no\n[Service]\nReadWritePaths=/a /b\n# ReadWritePaths=/no\n"
        "ReadWritePaths=\\\n  -/c \\\n  %S/x\n"
        "ExecStart=/usr/bin/slurmwatchd run\nExecReload=/bin/kill -HUP $MAINPID\n",
    )  # fmt: skip
    put(
        tmp_path, "etc/systemd/system/w.service.d/override.conf",
        "[Service]\nExecStart=\nExecStart=-/opt/x run --config '/a b'\n",
    )  # fmt: skip
    made = found(tmp_path, "w")
    assert made.words("ReadWritePaths") == ["/a", "/b", "-/c", "/var/lib/x"]
    assert made.commands("ExecStart") == [["/opt/x", "run", "--config", "/a b"]]
    assert made.commands("ExecReload") == [["/bin/kill", "-HUP", "$MAINPID"]]


def test_the_environment_of_the_service(tmp_path: Path) -> None:
    put(
        tmp_path, "etc/systemd/system/w.service",
        '[Service]\nEnvironment=A=1 "B=two words"\nEnvironment=SLURM_CONF=/x\nEnvironmentFile=/etc/default/w\n'
        "EnvironmentFile=-/etc/default/none\nUnsetEnvironment=A\n",
    )  # fmt: skip
    put(tmp_path, "etc/default/w", '# a comment\nSLURM_CONF="/opt/slurm.conf"\nPLAIN=a b\n\n')
    assert found(tmp_path, "w").environment == {
        "PATH": DEFAULT_PATH, "B": "two words", "SLURM_CONF": "/opt/slurm.conf", "PLAIN": "a b",
    }  # fmt: skip
    handed = find("w", root=tmp_path, manager={"PATH": "/manager", "LANG": "C"})
    assert handed is not None
    assert (handed.environment["PATH"], handed.environment["LANG"]) == ("/manager", "C")


def test_variables_in_a_command_line_are_replaced_as_systemd_does(tmp_path: Path) -> None:
    put(
        tmp_path, "etc/systemd/system/w.service",
        "[Service]\nEnvironmentFile=/etc/default/w\nEnvironment=NONE=\n"
        "ExecStart=/usr/bin/x run --config ${DIR}/x.toml $OPTIONS $NONE $UNKNOWN\n"
        "ExecReload=/bin/kill -HUP $MAINPID\n",
    )  # fmt: skip
    put(tmp_path, "etc/default/w", 'OPTIONS="--listen= --log-level debug"\nDIR=/a b\n')
    made = found(tmp_path, "w")
    assert made.commands("ExecStart") == [
        ["/usr/bin/x", "run", "--config", "/a b/x.toml", "--listen=", "--log-level", "debug"]
    ]
    assert made.commands("ExecReload") == [["/bin/kill", "-HUP", "$MAINPID"]]


def test_an_instance_of_a_template_and_a_file_by_its_path(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/system/w@.service", "[Service]\nStateDirectory=w-%i\n")
    put(tmp_path, "etc/systemd/system/w@.service.d/a.conf", "[Service]\nUser=a\n")
    put(tmp_path, "etc/systemd/system/w@x.service.d/b.conf", "[Service]\nUser=b\n")
    made = found(tmp_path, "w@x")
    assert (made.words("StateDirectory"), made.user) == (["w-x"], "b")
    file = put(tmp_path, "some/w.service", "[Service]\nUser=c\n")
    put(tmp_path, "some/w.service.d/d.conf", "[Service]\nUser=d\n")
    assert found(tmp_path, str(file)).user == "d"

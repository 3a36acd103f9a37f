"""What calls crowdmood at the right times: units for systemd, a line for cron, a manifest for Kubernetes, as text.

Each calls `crowdmood jobs due` every minute, which ends at once when nothing is due: the ledger knows what is. Retries and due
times that were missed come with it, which a timer at the job's own times would not give.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from crowdmood.errors import JobError

KEPT = ("CROWDMOOD_RESULTS", "XDG_CACHE_HOME", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")
STOP_S = 30  # a stopped analysis needs a few seconds to leave everything in order
PLAIN = re.compile(r"[\w./:=%@+,$-]+", re.ASCII)
IMAGE = "crowdmood:latest"
TITLE = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")  # Kubernetes takes 52 letters for a CronJob, and we add to it
LONGEST_LINE = 990  # letters of a command that cron takes

MANIFEST = Template("""\
# The job files, then what runs them: kubectl apply -f THIS
# Recordings and results lie on a volume of yours, $title-data, mounted at /data; the job files in /data/jobs.
# For S3 put the keys (AWS_ACCESS_KEY_ID ...) into a secret, and take the sign # away from envFrom.
apiVersion: v1
kind: ConfigMap
metadata:
  name: $title-jobs
data:
${data}---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: $title
spec:
  schedule: "* * * * *"
  concurrencyPolicy: Forbid
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: $stop_s
          containers:
            - name: crowdmood
              image: $image
              command: $words
              workingDir: /data
              env:
                - {name: CROWDMOOD_RESULTS, value: /data/crowdmood-results}
                - {name: XDG_CACHE_HOME, value: /data/.cache}
              # envFrom: [{secretRef: {name: $title-s3}}]
              volumeMounts:
                - {name: jobs, mountPath: /data/jobs}
                - {name: data, mountPath: /data}
          volumes:
            - name: jobs
              configMap: {name: $title-jobs}
            - name: data
              persistentVolumeClaim: {claimName: $title-data}
""")


@dataclass(frozen=True)
class Call:
    """What is to be called, and where.

    jobs: the folder of job files; folder: where it works; environment: what it needs to know, no secrets; title: the name of
    the unit.
    """

    jobs: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    title: str = "crowdmood"

    def words(self, command: str) -> list[str]:
        """The command line of `crowdmood jobs due` or `daemon`, with the Python that runs now."""
        return [sys.executable, "-m", "crowdmood", "jobs", command, "--jobs", str(self.jobs)]


def call_here(jobs: Path, title: str = "crowdmood") -> Call:
    """The call as it would be made here and now. Raises JobError where a path cannot be written into a unit."""
    if not TITLE.fullmatch(title):
        raise JobError(f"'{title}' is no name for a unit; take up to 40 small letters, digits and '-', a letter first")
    environment = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    call = Call(jobs, Path.cwd(), environment, title)
    for text in (*call.words("due"), str(call.folder), *environment.values()):
        if not text.isprintable():
            raise JobError(f"{text!r} cannot be written into a unit; rename it")
    return call


def systemd_timer(call: Call) -> dict[str, str]:
    """File name -> text: a service that runs what is due, and the timer that starts it every minute."""
    service = f"""[Unit]
Description=crowdmood: run the jobs that are due
After=network-online.target

[Service]
Type=oneshot
{_systemd_service(call, "due")}"""
    timer = """[Unit]
Description=crowdmood: look every minute whether a job is due

[Timer]
OnCalendar=minutely
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
    return {f"{call.title}.service": service, f"{call.title}.timer": timer}


def systemd_daemon(call: Call) -> dict[str, str]:
    """File name -> text: a service that runs `crowdmood jobs daemon`, started again whenever it ends."""
    return {f"{call.title}.service": f"""[Unit]
Description=crowdmood: run jobs when they are due
After=network-online.target

[Service]
Type=exec
{_systemd_service(call, "daemon")}Restart=always
RestartSec=10s

[Install]
WantedBy=default.target
"""}


def cron_line(call: Call) -> str:
    """A line for crontab: every minute. What it prints goes to the system's log."""
    words = ["env", *(f"{name}={value}" for name, value in call.environment.items()), *call.words("due")]
    line = f"cd {shlex.quote(str(call.folder))} && {shlex.join(words if call.environment else words[1:])} 2>&1 | logger -t {call.title}"
    line = line.replace("%", r"\%")  # cron takes a bare % for the end of the line
    if len(line) > LONGEST_LINE:
        raise JobError(f"the line for cron would have {len(line)} letters, more than it takes; use --systemd, or shorter paths")
    return f"* * * * * {line}"


def kubernetes_manifest(call: Call, files: Mapping[str, str], image: str = IMAGE) -> str:
    """A ConfigMap with the job files and a CronJob that runs what is due every minute, one at a time.

    files: name -> text of the job files. They lie in /data/jobs, recordings and results on a volume mounted at /data, so that
    relative paths mean what they mean here. Raises JobError for a name that Kubernetes does not take.
    """
    if wrong := [name for name in files if not re.fullmatch(r"[-\w.]+", name, re.ASCII)]:
        raise JobError(f"{wrong[0]}: Kubernetes takes only letters, digits, '-', '_' and '.' in a file's name; rename it")
    data = "".join(f"  {name}: {_block(text)}" for name, text in files.items())
    words = ["crowdmood", "jobs", "due", "--jobs", "/data/jobs"]
    return MANIFEST.substitute(title=call.title, data=data, stop_s=STOP_S, image=json.dumps(image), words=json.dumps(words))


def _systemd_service(call: Call, command: str) -> str:
    words = call.words(command)
    if not PLAIN.fullmatch(words[0]):
        words = ["/usr/bin/env", *words]  # systemd takes no special letters in the name of a program
    # 130 and 143: stopped, and everything in order.
    lines = [f"WorkingDirectory={_specifiers(str(call.folder))}",
             *(f"Environment={_systemd_quoted(f'{name}={value}', command=False)}" for name, value in call.environment.items()),
             f"ExecStart={' '.join(map(_systemd_quoted, words))}",
             "TimeoutStartSec=infinity", f"TimeoutStopSec={STOP_S}s", "KillMode=mixed", "SuccessExitStatus=130 143", "Nice=10"]
    return "".join(f"{line}\n" for line in lines)


def _systemd_quoted(word: str, command: bool = True) -> str:
    """A word as systemd reads it back; on command lines it would also put variables in the place of $."""
    word = _specifiers(word)
    word = word.replace("$", "$$") if command else word
    if PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _block(text: str) -> str:
    """A text as a value of YAML, readable where it can be."""
    lines = text.splitlines()
    whole = text == "".join(f"{line}\n" for line in lines) and not text.endswith("\n\n")
    if whole and text[:1] not in ("", " ", "\n") and all(line.isprintable() for line in lines):
        return "|\n" + "".join(f"    {line}\n" if line else "\n" for line in lines)
    return json.dumps(text) + "\n"


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")

"""kill -9 at each named point of storing pages, then the same again: the same pages, nothing twice, and the same lake."""

import os
import signal
import subprocess
import sys

import pytest

from chronolake.ingest import ExtractRequest, IngestRequest
from chronolake.services import open_services
from chronolake.settings import load
from chronolake.testing import differences
from chronolake.testing.warc import WarcFile, story

pytestmark = pytest.mark.slow

STORIES = 14
#: At the third time: two batches are stored, which must not be looked at again.
POINTS = ["pages.before_store@3", "pages.after_insert@3", "pages.before_commit@3", "pages.after_commit@3"]
RESULT = (
    "SELECT url, content_hash, entity_count, (SELECT count(*) FROM page_entities e WHERE e.page_id = p.page_id)"
    " FROM pages p JOIN projects ON projects.id = project_id WHERE name = %s ORDER BY url"
)
DECIDED = (
    "SELECT url, reason FROM extraction_decisions d JOIN cdx_records ON id = capture_id"
    " JOIN projects p ON p.id = d.project_id WHERE name = %s ORDER BY 1"
)


@pytest.fixture
def warc(tmp_path):
    file = WarcFile()
    for number in range(STORIES):
        file.add(f"http://example.com/story/{number:02d}", f"202001{number + 1:02d}030405", story(number))
    for number in range(5):
        file.add(f"http://example.com/gone/{number}", "20200107000000", b"gone", status="404 Not Found")
    path = tmp_path / "a.warc.gz"
    path.write_bytes(file.data)
    return path


@pytest.mark.timeout(300)
def test_killed_and_run_again(warc, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CHRONOLAKE_HOME": str(tmp_path / "home"),
        "CHRONOLAKE_PAGE_BATCH": "4",
        "CHRONOLAKE_EXTRACT_WORKERS": "1",
    }
    with open_services(load(environment)) as services:

        def rows(statement, project):
            with services.database.connection() as conn:
                return conn.execute(statement, [project]).fetchall()

        def extract(project):
            return services.extraction.run(ExtractRequest(project=project, files=(str(warc),))).counts

        for project in ("whole", *POINTS):
            services.pipeline.ingest(IngestRequest(paths=(str(warc),), project=project))
        whole = extract("whole")
        assert (whole.extracted, whole.filtered) == (STORIES, {"status": 5})
        for point in POINTS:
            command = [
                sys.executable,
                "-m",
                "chronolake",
                "extract",
                "--project",
                point,
                "--from-files",
                str(warc),
            ]
            armed = environment | {"CHRONOLAKE_FAULT": point}
            killed = subprocess.run(command, env=armed, capture_output=True, check=False)
            assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
            stored = len(rows(RESULT, point))
            assert 4 <= stored < STORIES
            counts = extract(point)
            # What was stored is not looked at again.
            assert counts.extracted == STORIES - stored
            assert rows(RESULT, point) == rows(RESULT, "whole")
            assert rows(DECIDED, point) == rows(DECIDED, "whole")
        services.sync.reach()
        assert differences(services.database, services.lake) == []
        assert list(services.settings.staging(services.database.instance).glob("*")) == []

"""What YAML should not say about the media manager: backups, the migration, the test request."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

COLUMNS = ("arr_service", "arr_id", "external_id", "confidence_score", "classification_data")

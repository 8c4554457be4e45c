"""Which ways of looking and changing a target file may name: the two tables, as shapes."""

from __future__ import annotations

from watchkeeper.changing.operators import ORDERS
from watchkeeper.looking.probes import QUESTIONS
from watchkeeper.target_file import Kinds

KINDS = Kinds(QUESTIONS, ORDERS)

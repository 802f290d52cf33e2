"""The dashboards, in the order in which a change passes through the platform."""

from __future__ import annotations

from docs._generate.dashboards.boards.api import API
from docs._generate.dashboards.boards.delivery import DELIVERY
from docs._generate.dashboards.boards.event_path import EVENT_PATH
from docs._generate.dashboards.boards.gateways import GATEWAYS
from docs._generate.dashboards.boards.jetstream import JETSTREAM
from docs._generate.dashboards.boards.operator import OPERATOR
from docs._generate.dashboards.boards.overview import OVERVIEW
from docs._generate.dashboards.boards.postgresql import POSTGRESQL
from docs._generate.dashboards.boards.reminders import REMINDERS

BOARDS = (OVERVIEW, API, EVENT_PATH, GATEWAYS, DELIVERY, REMINDERS, POSTGRESQL, JETSTREAM, OPERATOR)

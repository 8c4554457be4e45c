"""A back end that only the tests of the edge know: it has users who come at a steady rate."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures" / "replicas" / "routing-ml" / "programs")]

from starting import Service, home_from_arguments  # noqa: E402

from fixtures.replicas.kit.answers import Answer  # noqa: E402
from fixtures.replicas.kit.http_program import Request  # noqa: E402

ANYBODY = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
}
HANDLERS = {"/api/routing/predict": ("POST", 45.0), "/api/trainer/status": ("GET", 15.0)}
ERRORS = 0.002
WITHIN = {"0.05": 0.6, "0.1": 0.9, "0.2": 0.99, "0.5": 1.0, "1.0": 1.0, "+Inf": 1.0}
BEGAN_S = 26 * 3600.0  # before the first question


class Backend(Service):
    """Knows one user, one token and one item."""

    def __init__(self, home: Path) -> None:
        super().__init__("backend", home)
        self._began = self.faults().now().timestamp() - BEGAN_S
        self._own = 0
        self._of_reset = 0

    def answer(self, request: Request) -> Answer:
        if self._of_reset != self.faults().resets:
            self._of_reset = self.faults().resets
            self._own = 0
        answer = self._answer(request)
        return Answer(answer.status, answer.body, answer.content_type, ANYBODY)

    def _answer(self, request: Request) -> Answer:  # noqa: PLR0911  a table
        match (request.method, request.path):
            case ("OPTIONS", _):
                return Answer(204)
            case ("GET", "/health"):
                return Answer.of({"status": "healthy", "uptime_s": 12.5})
            case ("GET", "/metrics"):
                now = self.faults().now().timestamp()
                then = float(request.query.get("at", now))
                own = self._own if "at" not in request.query else 0
                return Answer(200, self._metrics(then, own).encode(), "text/plain; version=0.0.4")
            case ("POST", "/api/auth/login"):
                return Answer.of({"access_token": "good", "token_type": "bearer"})
            case _ if request.headers.get("authorization") != "Bearer good":
                return Answer.of({"detail": "Not authenticated"}, 401)
            case ("POST", "/api/routing/predict"):
                self._own += 1
                return Answer.of(
                    {"item_code": "TEST_ITEM", "route": "R07", "target": request.target}
                )
            case ("GET", "/api/trainer/status"):
                return Answer.of({"status": "idle", "latest_version": "production-v3"})
            case _:
                return Answer.of({"detail": "Not Found"}, 404)

    def _metrics(self, then: float, own: int) -> str:
        passed = max(0.0, then - self._began)
        lines = ["# TYPE http_requests_total counter"]
        for handler, (method, per_s) in HANDLERS.items():
            for status, share in (("200", 1 - ERRORS), ("500", ERRORS)):
                mine = own if (method, status) == ("POST", "200") else 0
                value = int(passed * per_s * share) + mine
                labels = f'handler="{handler}",method="{method}",status="{status}"'
                lines.append(f"http_requests_total{{{labels}}} {value}")
        number = passed * sum(per_s for _, per_s in HANDLERS.values())
        name = "http_request_duration_seconds"
        lines.append(f"# TYPE {name} histogram")
        lines += [f'{name}_bucket{{le="{le}"}} {int(number * s)}' for le, s in WITHIN.items()]
        lines += [f"{name}_sum {number * 0.04:.3f}", f"{name}_count {int(number)}"]
        for gauge, labels, value in (
            ("db_pool_active", "", "5"),
            ("db_pool_size", "", "20"),
            ("process_cpu_ratio", "", "0.35"),
            ("routing_ml_prediction_accuracy", '{version="production-v3"}', "0.92"),
        ):
            lines += [f"# TYPE {gauge} gauge", f"{gauge}{labels} {value}"]
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Backend(home_from_arguments()).run()

"""The practice gateway's control port, and a client of its REST that shares no code with the product."""

from __future__ import annotations

from typing import Any

import httpx

from app.services.gateway import Hello


class Control:
    """What the exchange itself knows. Every call has ten seconds."""

    def __init__(self, hello: Hello) -> None:
        self._http = httpx.Client(
            base_url=hello.control, headers={"Authorization": f"Bearer {hello.control_token}"}, timeout=10.0
        )
        self._rest = httpx.Client(base_url=hello.rest, timeout=10.0)
        answer = self._rest.post(
            "/api/Auth/loginKey", json={"userName": hello.user_name, "apiKey": hello.api_key}
        ).json()
        self.token = str(answer["token"])
        self._rest.headers["Authorization"] = f"Bearer {self.token}"

    def close(self) -> None:
        self._http.close()
        self._rest.close()

    def fault(self, **rule: Any) -> None:
        self._http.post("/control/fault", json=rule).raise_for_status()

    def counters(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get("/control/counters").raise_for_status().json()
        return answer

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get("/control/state").raise_for_status().json()
        return answer

    def post(self, what: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.post(f"/control/{what}", json=body).raise_for_status().json()
        return answer

    def ping(self) -> None:
        """Spend one request of the login's budget."""
        self._rest.post("/api/Account/search", json={"onlyActiveAccounts": True}).raise_for_status()

    def orders_by_tag(self, account_id: int) -> dict[str, list[dict[str, Any]]]:
        """Every order of the account, whatever its status, grouped by tag; read over the public protocol."""
        body = {"accountId": account_id, "startTimestamp": "2000-01-01T00:00:00Z"}
        rows = self._rest.post("/api/Order/search", json=body).raise_for_status().json()["orders"]
        grouped: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            grouped.setdefault(str(row["customTag"]), []).append(row)
        return grouped

    def open_orders(self, account_id: int) -> list[dict[str, Any]]:
        answer = self._rest.post("/api/Order/searchOpen", json={"accountId": account_id}).raise_for_status().json()
        return list(answer["orders"])

    def trades(self, account_id: int) -> list[dict[str, Any]]:
        """Every trade of the account, voided ones included."""
        body = {"accountId": account_id, "startTimestamp": "2000-01-01T00:00:00Z"}
        return list(self._rest.post("/api/Trade/search", json=body).raise_for_status().json()["trades"])

"""Published versions over HTTP."""

from calibration_pipeline_tests.interfaces.api.service import Service


def test_an_item_of_the_version_in_force(service: Service) -> None:
    versions = service.get("/v1/versions").json["versions"]
    snapshot = service.get("/v1/versions/current/snapshot").json
    assert snapshot["manifest"]["version"] == versions[0]["version"]
    item = snapshot["items"][0]
    assert service.get(f"/v1/versions/current/items/{item['item_id']}").json == item

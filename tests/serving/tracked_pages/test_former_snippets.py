"""Snippets as websites that come from Ibexa or YOOCHOOSE have them: only the host is another one."""

from __future__ import annotations

from typing import Any

import pytest

from serving.tracker_script import FORMER_NAMES
from tests.serving.tracked_pages.site import Server, Shop

SNIPPET = """
<script type="text/javascript">
  var _ycq = _ycq || [];
  _ycq.push(['_setMandator', '00001']);
  _ycq.push(['_trackEvent', '1', 'click', 'ITEM', '']);
  (function() {
    var made = document.createElement('script');
    made.type = 'text/javascript';
    made.async = true;
    made.src = ('https:' == document.location.protocol ? 'https://' : 'http://') + 'SCRIPT';
    var first = document.getElementsByTagName('script')[0];
    first.parentNode.insertBefore(made, first);
  })();
</script>
"""


@pytest.mark.e2e
@pytest.mark.parametrize(("item", "name"), list(enumerate(FORMER_NAMES, 301)))
def test_a_snippet_that_loads_a_former_name_works_with_the_new_host(
    server: Server, shop: Shop, page: Any, name: str, item: int
) -> None:
    host = server.address.removeprefix("http://")
    html = SNIPPET.replace("ITEM", str(item)).replace("SCRIPT", f"{host}/{name}")
    shop.pages[f"/{name}"] = ('<!doctype html><link rel="icon" href="data:,">' + html, {})
    page.goto(f"{shop.address}/{name}")
    (event,) = server.wait_for(1, str(item))
    assert (event.event, event.item_type) == ("click", 1)
    assert event.visitor

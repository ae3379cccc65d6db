"""What a page of a report shows, read back as numbers."""

from playwright.sync_api import Page


def table_rows(page: Page, selector: str) -> list[list[str]]:
    """Text of the cells of the visible body rows of a table."""
    rows = page.locator(f"{selector} tbody tr:not([hidden])")
    return rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))")


def card_ids(page: Page) -> list[str]:
    """Names of the queries of the cards, in their order."""
    return page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.query)")


def downloaded(page: Page, button: str) -> str:
    """Text of the file that a button saves."""
    with page.expect_download() as download:
        page.locator(button).click()
    return download.value.path().read_text()

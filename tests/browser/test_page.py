"""The page as a whole: one file, plain text, paper, no script, size. Requests and complaints fail every test."""

from overtop.report.page import FOLDER, render_page
from report.example import NASTY, example_document

SCRIPT_BYTES = 25 * 1024
EXAMPLE_BYTES = 120 * 1024


def test_markup_in_texts_is_shown_as_text(open_report, example):
    page = open_report(example)
    assert NASTY in page.locator(".warnings").text_content()
    page.locator("#query-panel").select_option("shapes/test/i2t")
    assert NASTY in page.locator("#cards .top").first.text_content() + page.locator("#cards").text_content()
    assert page.locator("b", has_text="more").count() == 0


def test_policy_of_the_page_refuses_requests_and_foreign_scripts(open_report, example):
    page = open_report(example)
    policy = page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_title_sections_and_provenance_are_those_of_the_document(open_report, example):
    page = open_report(example)
    assert page.title() == example.title
    assert page.locator("h1").inner_text() == example.title
    assert page.locator(".verdict p:not(.needs-script)").all_inner_texts() == [
        sentence for verdict in example.verdicts for sentence in verdict.sentences
    ]
    assert example.rebuild in page.locator("#sources").inner_text()
    assert page.locator(".provenance dt").all_text_contents() == [
        key for group in example.provenance for key, _ in group.rows
    ]
    assert page.locator("#robustness table, #answers table").count() == 2


def test_report_without_optional_parts_has_no_sections_of_them(open_report):
    example = example_document()
    bare = type(example)(example.name, example.title, example.rebuild, verdicts=example.verdicts)
    page = open_report(bare)
    assert page.locator("main > section").evaluate_all("all => all.map(({ id }) => id)") == ["answer", "sources"]
    targets = page.locator("nav a").evaluate_all("links => links.map(link => link.hash)")
    assert targets == ["#answer", "#sources"]


def test_paper_shows_everything_and_no_controls(open_report, example):
    page = open_report(example)
    page.emulate_media(media="print", color_scheme="dark")
    for details in page.locator("main details").all():
        if not details.locator("fieldset").count():
            inside = details.locator("dl, .scroll, .bars").first
            assert inside.evaluate("element => element.checkVisibility({ contentVisibilityAuto: true })")
    assert page.locator("#rejection svg .marker").first.is_visible()
    assert page.locator(".card").count() == 12
    assert page.locator(":not(th) > button:visible, select:visible, input:visible, nav:visible").count() == 0
    assert page.locator("body").evaluate("body => getComputedStyle(body).color") == "rgb(27, 29, 32)"
    assert page.locator(".card").first.evaluate("card => getComputedStyle(card).breakInside") == "avoid"


def test_page_without_script_has_answer_and_tables(open_report, example):
    page = open_report(example, java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "JavaScript is off" in text
    assert example.verdicts[0].sentences[0] in text
    assert example.tables[0].note in text
    assert not page.locator("#curves").is_visible()
    assert not page.locator("#queries").is_visible()


def test_reduced_motion_leaves_no_motion(open_report, example):
    for wish, behaviour in (("reduce", "auto"), ("no-preference", "smooth")):
        page = open_report(example, reduced_motion=wish)
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == behaviour
        moving = "() => document.getAnimations().length"
        assert page.evaluate(moving) == 0


def test_script_and_page_are_within_their_sizes():
    assert len((FOLDER / "script.js").read_bytes()) <= SCRIPT_BYTES
    assert len(render_page(example_document()).encode()) <= EXAMPLE_BYTES

// Curves, query cards and sortable tables of a report.

const DATA = JSON.parse(document.getElementById("data").textContent);  // see overtop.report.document
const STYLES = JSON.parse(document.getElementById("styles").textContent);  // colour and marker of estimators
const FEW_QUERIES = 20;  // numbers of fewer queries are drawn faint
const CARDS_PER_PAGE = 24;
const LABEL_HEIGHT = 16;  // pixels, as are all lengths of charts
const SVG_NAMES = new Set(["svg", "g", "path", "line", "text", "tspan", "title", "desc"]);

// --- elements, numbers and files ---

const $ = (id) => document.getElementById(id);
const formatNumber = (value) => (value == null ? "–" : value.toFixed(3));
const formatShare = (share) => `${+(100 * share).toFixed(1)} %`;
const formatCount = (count) => (count == null ? "–" : (+count.toFixed(1)).toLocaleString("en"));

const indexOfClosest = (values, target) => values.reduce(
  (best, value, i) => (Math.abs(value - target) < Math.abs(values[best] - target) ? i : best), 0);

/** A new element. Its children are elements and texts; a text is never read as HTML. */
function make(name, attributes = {}, ...children) {
  const element = SVG_NAMES.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value != null) element.setAttribute(key, value);
  element.append(...children.filter((child) => child != null));
  return element;
}

const makePath = (kinds, d) => make("path", { class: kinds, d });
const makeText = (kinds, x, y, ...children) => make("text", { class: kinds, x, y }, ...children);

function saveFile(name, text) {
  make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: name }).click();
}

// --- state: all that is worth sharing is in the address ---

const state = { panel: DATA.panels[0], posteriors: new Set(), estimators: new Set(), answer: 0.5, level: 1 };

/** Take over what the address names; whether it names a panel. */
function readAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  const panel = DATA.panels.find(({ id }) => id === values.get("panel"));
  if (!panel) return false;
  state.panel = panel;
  for (const key of ["posteriors", "estimators"]) if (values.has(key)) state[key] = new Set(values.get(key).split(","));
  for (const key of ["answer", "level"]) state[key] = parseFloat(values.get(key)) || state[key];
  return true;
}

function writeAddress() {
  const { panel, posteriors, estimators, answer, level } = state;
  const values = { panel: panel.id, posteriors: [...posteriors], estimators: [...estimators], answer, level };
  history.replaceState(null, "", `#${new URLSearchParams(values)}`);
}

function chooseDefaults() {
  const shown = state.panel.methods.filter((method) => method.is_default);
  state.posteriors = new Set(shown.map((method) => method.posterior));
  state.estimators = new Set(shown.map((method) => method.estimator));
}

// --- curves ---

/** The chosen methods, the best first, with the letter, the name and the style that they are drawn with. */
function chosenCurves() {
  const { panel, posteriors, estimators } = state;
  const chosen = panel.methods.filter((method) => posteriors.has(method.posterior) && estimators.has(method.estimator));
  return chosen.map((method, i) => {
    const [colour, marker] = STYLES[method.estimator];
    const number = panel.posteriors.findIndex(({ id }) => id === method.posterior);
    const posterior = panel.posteriors[number];
    const name = posteriors.size > 1 ? `${method.label}, ${posterior.label}` : method.label;
    const letter = String.fromCharCode(65 + (i % 26)).repeat(1 + Math.floor(i / 26));
    return { method, posterior, name, letter, marker, style: `c-${colour} d${number % 5}` };
  });
}

/** Path of a marker by matplotlib's name of it, so that curves look as in the figures. */
function markerPath(marker, x, y, size = 4) {
  if (marker === "o") return `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`;
  const [corners, turn, inner] = {
    s: [4, 45, 1], D: [4, 0, 1], "^": [3, 0, 1], v: [3, 180, 1], "<": [3, 270, 1], ">": [3, 90, 1],
    p: [5, 0, 1], h: [6, 0, 1], H: [6, 30, 1], "*": [5, 0, 0.4], P: [4, 0, 0.35], X: [4, 45, 0.35],
  }[marker] || [4, 0, 1];
  const points = [];
  for (let i = 0; i < 2 * corners; i += inner === 1 ? 2 : 1) {
    const angle = ((turn + (i * 180) / corners) * Math.PI) / 180;
    const radius = 1.25 * size * (i % 2 ? inner : 1);
    points.push(`${(x + radius * Math.sin(angle)).toFixed(1)} ${(y - radius * Math.cos(angle)).toFixed(1)}`);
  }
  return `M${points.join("L")}z`;
}

const curveKey = (curve) => [
  make("svg", { class: "key", viewBox: "0 0 28 12", "aria-hidden": "true" },
    makePath(`curve ${curve.style}`, "M0 6H28"),
    makePath(`marker ${curve.style}`, markerPath(curve.marker, 14, 6))),
  make("b", {}, curve.letter), ` ${curve.name}`,
];

/**
 * A line chart with a label at the end of each curve, a slider that moves its cursor, and tables of its numbers.
 * `describe` returns what it shows: `curves` with `y`, `isFew` (of few queries) and perhaps `low` and `high` at each
 * position, `x` of the positions in [0, 1], and `columns`: heading, value of a curve at a position, format.
 */
class Chart {
  constructor(id, describe) {
    Object.assign(this, { id, describe, holder: $(id), slider: $(`${id}-slider`), position: 0 });
    new ResizeObserver(() => { if (this.holder.clientWidth !== this.width) this.draw(); }).observe(this.holder);
    this.slider.addEventListener("input", () => this.choose(+this.slider.value));
    $(`${id}-csv`).addEventListener("click", () => saveFile(`${DATA.name}-${id}.csv`, this.csv()));
  }

  draw() {
    const spec = (this.spec = this.describe());
    const width = (this.width = this.holder.clientWidth);
    const nameWidth = 60 + 6.5 * Math.max(0, ...spec.curves.map((curve) => curve.name.length));
    this.isNamed = nameWidth < 0.45 * width;  // letters elsewhere
    const height = Math.max(280, Math.min(380, 0.6 * width), 70 + LABEL_HEIGHT * spec.curves.length);
    const box = (this.box = { left: 36, right: width - (this.isNamed ? nameWidth : 70), top: 12, bottom: height - 44 });
    const allFew = spec.curves.every(({ isFew }) => !isFew.includes(false));
    const values = spec.curves.flatMap(({ y, isFew }) => y.filter((value, i) => value != null && (allFew || !isFew[i])));
    const floor = Math.min(0.9, Math.floor(10 * Math.min(1, ...values)) / 10);
    const ceiling = spec.bound ? 1 : Math.min(1, Math.ceil(10 * Math.max(floor + 0.1, ...values)) / 10);
    this.x = (i) => box.left + spec.x[i] * (box.right - box.left);
    this.y = (value) => box.bottom - ((Math.min(Math.max(value, floor), ceiling) - floor) / (ceiling - floor)) * (box.bottom - box.top);

    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" },
      make("title", {}, spec.title), make("desc", {}, this.holder.dataset.description));
    const step = ceiling - floor > 0.5 ? 0.2 : 0.1;
    for (let tick = ceiling; tick > floor - 0.01; tick = +(tick - step).toFixed(1)) {
      const y = this.y(tick);
      svg.append(make("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }),
        makeText("tick end", box.left - 8, y + 4, tick.toFixed(1)));
    }
    for (const [x, text] of spec.ticks) {
      svg.append(makeText("tick middle", box.left + x * (box.right - box.left), box.bottom + 17, text));
    }
    svg.append(makeText("axis middle", (box.left + box.right) / 2, height - 8, this.holder.dataset.axis));
    if (spec.bound) svg.append(makePath("bound", this.line(spec.bound, () => true)));
    for (const curve of spec.curves) svg.append(this.drawCurve(curve));
    this.cursor = make("g", { class: "cursor" });
    svg.append(...this.drawLabels(), this.cursor);
    svg.addEventListener("pointermove", (event) => this.show(this.nearest(event), true));
    svg.addEventListener("pointerleave", () => this.show(this.position));
    svg.addEventListener("click", (event) => this.choose(this.nearest(event)));
    this.holder.replaceChildren(svg);
    Object.assign(this.slider, { min: 0, max: spec.x.length - 1, step: 1 });
    this.slider.style.marginLeft = `${box.left - 8}px`;  // as wide as the axis: 8 is half of its thumb
    this.slider.style.width = `${box.right - box.left + 16}px`;
    this.moveTo(Math.min(this.position, spec.x.length - 1));
    this.fill("numbers", spec.title, spec.curves.flatMap((curve) => spec.listed.map((i) => [curve.name, ...this.cells(curve, i)])));
  }

  line(values, isDrawn) {
    let path = "", isDown = false;
    values.forEach((value, i) => {
      if (value == null) return;
      if (isDrawn(i)) path += `${isDown ? "L" : "M"}${this.x(i).toFixed(1)} ${this.y(value).toFixed(1)}`;
      isDown = isDrawn(i);
    });
    return path;
  }

  drawCurve({ y, isFew, style, marker }) {
    const touchesFew = (i) => isFew[i] || isFew[i - 1] || isFew[i + 1];
    const marked = this.spec.listed.filter((i) => y[i] != null);
    return make("g", {},
      makePath(`curve faint ${style}`, this.line(y, touchesFew)),
      makePath(`curve ${style}`, this.line(y, (i) => !isFew[i])),
      ...marked.map((i) => make("path",
        { class: `marker ${isFew[i] ? "faint" : ""} ${style}`, d: markerPath(marker, this.x(i), this.y(y[i])) })));
  }

  /** Labels at the right ends, moved apart so that none covers another. */
  drawLabels() {
    const { curves, x } = this.spec;
    const { right, top, bottom } = this.box;
    this.labels = curves.map((curve) => {
      const reliable = [...x.keys()].filter((i) => curve.y[i] != null && !curve.isFew[i]);
      const last = reliable.sort((a, b) => x[a] - x[b]).at(-1);
      return { curve, end: last == null ? bottom : this.y(curve.y[last]), value: make("tspan", { class: "value" }) };
    });
    const sorted = [...this.labels].sort((a, b) => a.end - b.end);
    sorted.forEach((label, i) => { label.at = Math.max(label.end, i ? sorted[i - 1].at + LABEL_HEIGHT : top); });
    let limit = bottom;
    for (const label of sorted.reverse()) limit = (label.at = Math.min(label.at, limit)) - LABEL_HEIGHT;
    return this.labels.map(({ curve, end, at, value }) => make("g", {},
      makePath(`leader ${curve.style}`, `M${right + 2} ${end}L${right + 12} ${at}`),
      makeText(`label ${curve.style}`, right + 15, at + 4, `${this.isNamed ? curve.name : curve.letter} `, value)));
  }

  nearest(event) {
    const frame = this.holder.firstElementChild.getBoundingClientRect();
    return indexOfClosest(this.spec.x.map((_, i) => this.x(i)), ((event.clientX - frame.left) * this.width) / frame.width);
  }

  /** Show the numbers at a position; a preview is under the pointer, and the slider stays. */
  show(position, isPreview = false) {
    const { curves, nameOf } = this.spec;
    const { top, bottom } = this.box;
    const x = this.x(position);
    this.cursor.replaceChildren(make("line", { class: isPreview ? "preview" : null, x1: x, x2: x, y1: top, y2: bottom }));
    this.labels.forEach(({ curve, value }, i) => {
      const y = curve.y[position];
      value.textContent = y == null ? "–" : y.toFixed(2);
      if (y == null) return;
      const at = x + 3 * (i - (curves.length - 1) / 2);  // side by side
      if (curve.low && curves.length <= 8) {
        this.cursor.append(makePath(`whisker ${curve.style}`, `M${at} ${this.y(curve.low[position])}V${this.y(curve.high[position])}`));
      }
      this.cursor.append(makePath(`spot ${curve.style}`, markerPath("o", x, this.y(y), 3)));
    });
    this.fill("table", nameOf(position), curves.map((curve) => [curveKey(curve), ...this.cells(curve, position)]));
  }

  moveTo(position) {
    const { nameOf, remember, columns, curves: [first] } = this.spec;
    this.position = position;
    this.slider.value = position;
    this.slider.setAttribute("aria-valuetext", nameOf(position));
    $(`${this.id}-output`).textContent = nameOf(position);
    $(`${this.id}-status`).textContent = first
      ? `${first.name}: ${this.cells(first, position).map((cell, i) => `${columns[i][0]} ${cell}`).join(", ")}` : "";
    remember(position);
    this.show(position);
  }

  choose(position) {
    this.moveTo(position);
    writeAddress();
  }

  cells(curve, i) {
    return this.spec.columns.map(([, value, format]) => format(value(curve, i)));
  }

  fill(name, caption, rows) {
    const headings = ["Method", ...this.spec.columns.map(([heading]) => heading)];
    const bodyRows = rows.map(([first, ...rest]) =>
      make("tr", {}, make("th", { scope: "row" }, ...[first].flat()), ...rest.map((cell) => make("td", {}, cell))));
    $(`${this.id}-${name}`).replaceChildren(make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...bodyRows));
  }

  /** All numbers of the chart; they and names of the configuration need no quotes. */
  csv() {
    const { x, curves, columns } = this.spec;
    const rows = curves.flatMap((curve) => x.map((_, i) =>
      [state.panel.id, curve.method.posterior, curve.method.estimator, ...columns.map(([, value]) => value(curve, i))]));
    rows.unshift(["panel", "posterior", "estimator", ...columns.map(([heading]) => heading.toLowerCase())]);
    return rows.map((row) => `${row}\n`).join("");
  }
}

function describeRejection() {
  const { coverage, title, posteriors } = state.panel;
  const last = coverage.length - 1;
  const precision = ({ method, posterior }, i) => 1 - method.errors[i] / posterior.answered[i];
  const curves = chosenCurves().map((curve) => ({
    ...curve,
    y: coverage.map((_, i) => precision(curve, i)),
    isFew: curve.posterior.answered.map((count) => count < FEW_QUERIES),
    low: curve.method.low,
    high: curve.method.high,
  }));
  return {
    curves,
    title: `Rejection curves, ${title}`,
    x: coverage.map((share) => 1 - share),
    ticks: [0, 20, 40, 60, 80, 100].map((percent) => [1 - percent / 100, percent]),
    bound: (curves[0]?.posterior || posteriors[0]).oracle,
    listed: [...coverage.keys()].filter((i) => (last - i) % Math.ceil((last + 1) / 10) === 0).reverse(),
    nameOf: (i) => formatShare(coverage[i]),
    remember: (i) => { state.answer = coverage[i]; },
    columns: [
      ["Coverage", (curve, i) => curve.posterior.answered[i] / curve.posterior.n_queries, formatShare],
      ["Answered", (curve, i) => curve.posterior.answered[i], formatCount],
      ["Precision", precision, formatNumber],
      ["Low", (curve, i) => curve.low[i], formatNumber],
      ["High", (curve, i) => curve.high[i], formatNumber],
      ["Errors", (curve, i) => curve.method.errors[i], formatCount],
    ],
  };
}

function describeCalibration() {
  const { methods, title } = state.panel;
  const levels = Math.max(0, ...methods.flatMap((method) => method.calibration.level)) + 1;
  const positions = [...Array(levels).keys()];
  const curves = chosenCurves().map((curve) => {
    const { level, recall, count } = curve.method.calibration;
    const counts = positions.map((i) => count[level.indexOf(i)] ?? 0);
    return { ...curve, counts, y: positions.map((i) => (counts[i] ? recall[level.indexOf(i)] : null)), isFew: counts.map((n) => n < FEW_QUERIES) };
  });
  return {
    curves,
    title: `Calibration curves, ${title}`,
    x: positions.map((i) => (i + 0.5) / levels),
    ticks: positions.map((i) => [(i + 0.5) / levels, i + 1]),
    listed: positions,
    nameOf: (i) => `level ${i + 1} of ${levels}`,
    remember: (i) => { state.level = i + 1; },
    columns: [
      ["Level", (curve, i) => i + 1, formatCount],
      ["Queries", (curve, i) => curve.counts[i], formatCount],
      ["R@1", (curve, i) => curve.y[i], formatNumber],
    ],
  };
}

function startCharts() {
  const charts = [new Chart("rejection", describeRejection), new Chart("calibration", describeCalibration)];

  const drawAll = () => {
    for (const chart of charts) chart.draw();
    for (const key of ["posteriors", "estimators"]) {
      const boxes = [...$(key).querySelectorAll("input")];
      $(`${key}-chosen`).textContent = `${boxes.filter((box) => box.checked).length} of ${boxes.length}`;
    }
    $("setup").textContent = charts[0].spec.curves.length ? state.panel.setup : "Nothing to draw: choose a posterior and an estimator.";
  };

  /** Check boxes of the posteriors or the estimators of the panel. */
  const showChoice = (key, entries) => {
    $(key).replaceChildren(...entries.map(([id, label]) => {
      const box = make("input", { type: "checkbox", value: id });
      box.checked = state[key].has(id);
      box.addEventListener("change", () => {
        state[key][box.checked ? "add" : "delete"](id);
        drawAll();
        writeAddress();
      });
      return make("label", {}, box, ` ${label}`);
    }));
  };

  const showPanel = () => {
    const { panel, answer, level } = state;
    const posteriors = panel.posteriors.map(({ id, label }) => [id, label]);
    const estimators = [...new Map(panel.methods.map((method) => [method.estimator, method.label]))];
    if (!chosenCurves().length) chooseDefaults();
    $("panel").value = panel.id;
    showChoice("posteriors", posteriors);
    showChoice("estimators", estimators.sort(([, a], [, b]) => a.localeCompare(b)));
    charts[0].position = indexOfClosest(panel.coverage, answer);
    charts[1].position = Math.max(0, Math.round(level) - 1);
    drawAll();
  };

  $("panel").addEventListener("change", () => {
    state.panel = DATA.panels.find(({ id }) => id === $("panel").value);
    showPanel();
    writeAddress();
  });
  $("reset").addEventListener("click", () => { chooseDefaults(); showPanel(); writeAddress(); });
  const follow = () => {
    const isNamed = readAddress();
    showPanel();
    if (isNamed) $("curves").scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();
}

// --- tables ---

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = make("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const before = heading.getAttribute("aria-sort");
      const isText = heading.matches(".text");
      const isAscending = before ? before === "descending" : isText || heading.dataset.better === "low";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value;
      const compare = (a, b) => (isText ? a.localeCompare(b, "en", { numeric: true }) : a - b) * (isAscending ? 1 : -1);
      const rows = [...table.tBodies[0].rows].sort((a, b) =>  // undefined is last
        (value(a) === "") - (value(b) === "") || compare(value(a), value(b)));
      table.tBodies[0].append(...rows);
    });
  });
}

const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

function filterRows(input) {
  const rows = [...$(`rows-${input.dataset.rows}`).tBodies[0].rows];
  const normalise = (text) => wordsOf(text).join(" ");
  for (const row of rows) row.hidden = !normalise(row.textContent).includes(normalise(input.value));
  input.closest(".tools").querySelector(".count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
}

// --- query cards ---

const MATCHES = ["", "match", "match, not labelled"];

function showItem({ id, text, thumbnail }, i) {
  if (thumbnail[i] < 0) return make("span", {}, text[i] || id[i]);
  return make("img", { src: DATA.thumbnails[thumbnail[i]], width: 64, height: 64, alt: text[i] || `image ${id[i]}` });
}

function showTop(cards, i) {
  const arePictures = cards.gallery.thumbnail[cards.top[i][0]] >= 0;
  return make("ol", { class: arePictures ? "top pictures" : "top" }, ...cards.top[i].map((row, k) => {
    const match = MATCHES[cards.positive[i][k]];
    return make("li", { class: match ? "match" : null }, showItem(cards.gallery, row),
      make("span", { class: "similarity" }, formatNumber(cards.similarity[i][k])),
      match ? make("span", { class: "match-mark" }, `✓\u00a0${match}`) : null);
  }));
}

/** Where the labelled item of a missed query is, if the best items do not show it. */
function showAnswer(cards, i) {
  const [answer, rank] = [cards.answer[i], cards.rank[i]];
  if (cards.hit[i] || cards.top[i].includes(answer)) return null;
  if (answer < 0) return make("p", {}, "Its labelled match is not in the gallery.");
  return make("p", {}, `Labelled match, ${rank ? `rank ${rank}` : "beyond the stored ranking"}: `, showItem(cards.gallery, answer));
}

function showBars(cards, names, i) {
  return make("ul", { class: "bars" }, ...names.map((name) => {
    const share = cards.share[name][i];
    const fill = make("span", { class: "fill" });
    fill.style.width = `${100 * share}%`;
    return make("li", {}, make("span", {}, cards.estimators.find(([id]) => id === name)[1]),
      make("span", { class: "track", "aria-hidden": "true" }, fill), make("span", { class: "amount" }, formatShare(share)));
  }));
}

function makeCard(cards, i, order) {
  const { methods } = DATA.panels.find(({ id }) => id === cards.panel);
  const defaults = methods.filter((method) => method.is_default).map((method) => method.estimator);
  const first = [...new Set([order, ...defaults])].filter((name) => name in cards.share);
  const others = cards.estimators.map(([id]) => id).filter((id) => !first.includes(id));
  return make("article", { class: `card ${cards.hit[i] ? "hit" : "miss"}`, "data-query": cards.id[i] },
    make("h3", {}, showItem(cards, i)),
    make("p", { class: "facts" }, make("b", {}, cards.hit[i] ? "✓ right" : "✗ wrong"), cards.level[i] && ` · ${cards.level[i]}`, ` · ${cards.id[i]}`),
    showTop(cards, i),
    showAnswer(cards, i),
    make("p", { class: "quiet" }, "Uncertainty: share of queries that are more certain"),
    showBars(cards, first, i),
    others.length ? make("details", {}, make("summary", {}, `Other estimators: ${others.length}`), showBars(cards, others, i)) : null);
}

function startCards() {
  let page = 0;
  const pagers = [...document.querySelectorAll(".pager button")];
  const cardsOfPanel = () => DATA.queries.find(({ panel }) => panel === $("query-panel").value);

  const select = (cards) => {
    const [hit, level, words] = [$("query-hit").value, $("query-level").value, wordsOf($("query-text").value)];
    const share = cards.share[$("query-order").value];
    const sign = $("query-first").value === "certain" ? 1 : -1;
    const textOf = (i) => [cards.id[i], cards.text[i], ...cards.top[i].map((row) => cards.gallery.text[row])].join(" ").toLowerCase();
    return [...cards.id.keys()]
      .filter((i) => (!hit || cards.hit[i] === (hit === "hit")) && (!level || cards.level[i] === level))
      .filter((i) => !words.length || words.every((word) => textOf(i).includes(word)))
      .sort((a, b) => sign * (share[a] - share[b]));
  };

  const showCards = () => {
    const cards = cardsOfPanel();
    const selected = select(cards);
    const pages = Math.max(1, Math.ceil(selected.length / CARDS_PER_PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const shown = selected.slice(page * CARDS_PER_PAGE, (page + 1) * CARDS_PER_PAGE);
    $("cards").replaceChildren(...shown.map((i) => makeCard(cards, i, $("query-order").value)));
    $("query-status").textContent = `${selected.length} of ${cards.id.length} queries, page ${page + 1} of ${pages}`;
    for (const button of pagers) {  // disabled buttons lose the focus
      button.setAttribute("aria-disabled", page === (button.dataset.step < 0 ? 0 : pages - 1));
    }
  };

  const showPanel = () => {
    const cards = cardsOfPanel();
    const order = $("query-order").value;
    $("query-order").replaceChildren(...cards.estimators.map(([id, label]) => make("option", { value: id }, label)));
    if (order in cards.share) $("query-order").value = order;
    const levels = [...new Set(cards.level)].filter(Boolean).sort();
    $("query-level").replaceChildren(make("option", { value: "" }, "any"), ...levels.map((level) => make("option", {}, level)));
    $("level-field").hidden = !levels.length;
    $("sample").textContent = cards.sample;
    showCards();
  };

  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(showPanel));  // after the fields are empty
  $("filters").addEventListener("input", (event) => {
    page = 0;
    if (event.target.id === "query-panel") showPanel(); else showCards();
  });
  for (const button of pagers) {
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      page += +button.dataset.step;
      showCards();
      pagers.find(({ dataset }) => dataset.step === button.dataset.step).focus();  // the one above the cards
    });
  }
  showPanel();
}

// --- start ---

const forEach = (selector, act) => document.querySelectorAll(selector).forEach(act);
if (DATA.panels.length) startCharts();
if (DATA.queries.length) startCards();
forEach(".table table", makeSortable);
forEach("[data-rows]", (input) => input.addEventListener("input", () => filterRows(input)));
forEach("[data-download]", (button) => {
  const { name, text } = DATA.downloads[button.dataset.download];
  button.addEventListener("click", () => saveFile(name, text));
});

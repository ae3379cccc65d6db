"use strict";
// Draws the curves and the query cards of a report, and makes its tables sortable. No library, no request.
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const STYLES = JSON.parse(document.getElementById("styles").textContent);  // of estimators: colour and marker
  const FEW_QUERIES = 20;  // numbers of fewer queries are drawn faint
  const CARDS_PER_PAGE = 24;
  const SVG_NAMES = new Set(["svg", "g", "path", "text", "title", "desc", "line", "tspan"]);

  // --- small helpers ---

  const $ = (id) => document.getElementById(id);
  const formatNumber = (value, decimals = 3) => (value == null ? "–" : value.toFixed(decimals));
  const formatShare = (share) => `${+(100 * share).toFixed(1)} %`;
  const formatCount = (count) => (Number.isInteger(count) ? count : count.toFixed(1)).toLocaleString("en");

  /** A new element; children are elements or texts, which are never read as HTML. */
  function make(name, attributes = {}, ...children) {
    const element = SVG_NAMES.has(name)
      ? document.createElementNS("http://www.w3.org/2000/svg", name)
      : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) if (value != null) element.setAttribute(key, value);
    element.append(...children.filter((child) => child != null));
    return element;
  }

  function fillTable(table, headings, rows) {
    const cells = (row, name, attributes) => row.map((cell) => make(name, attributes, ...[cell].flat()));
    table.replaceChildren(
      make("thead", {}, make("tr", {}, ...cells(headings, "th", { scope: "col" }))),
      make("tbody", {}, ...rows.map(([first, ...rest]) =>
        make("tr", {}, ...cells([first], "th", { scope: "row" }), ...cells(rest, "td")))),
    );
  }

  function saveFile(name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function toCsv(rows) {
    const quote = (cell) => (/[",\n]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : cell ?? "");
    return rows.map((row) => row.map(quote).join(",") + "\n").join("");
  }

  // --- state: what is worth sharing is in the address ---

  const state = { panel: null, posteriors: null, estimators: null, answer: 0.5, level: 0 };

  function readAddress() {
    const values = new URLSearchParams(location.hash.slice(1));
    if (!values.has("panel")) return false;
    const panel = DATA.panels.find((candidate) => candidate.id === values.get("panel"));
    if (!panel) return false;
    state.panel = panel;
    for (const key of ["posteriors", "estimators"]) {
      state[key] = values.has(key) ? new Set(values.get(key).split(",").filter(Boolean)) : null;
    }
    for (const key of ["answer", "level"]) {
      if (values.has(key) && isFinite(+values.get(key))) state[key] = +values.get(key);
    }
    return true;
  }

  function writeAddress() {
    const values = new URLSearchParams({
      panel: state.panel.id,
      posteriors: [...state.posteriors].join(),
      estimators: [...state.estimators].join(),
      answer: state.answer,
      level: state.level,
    });
    history.replaceState(null, "", `#${values}`);
  }

  // --- methods ---

  const posteriorOf = (method) => state.panel.posteriors.find((posterior) => posterior.id === method.posterior);

  function chooseDefaults() {
    const shown = state.panel.methods.filter((method) => method.is_default);
    state.posteriors = new Set(shown.map((method) => method.posterior));
    state.estimators = new Set(shown.map((method) => method.estimator));
  }

  /** The chosen methods, the best first, each with a letter, its name and its line style. */
  function chosenCurves() {
    const chosen = state.panel.methods.filter(
      (method) => state.posteriors.has(method.posterior) && state.estimators.has(method.estimator));
    const letter = (i) => (i >= 26 ? letter(Math.floor(i / 26) - 1) : "") + String.fromCharCode(65 + (i % 26));
    return chosen.map((method, i) => {
      const [colour, marker] = STYLES[method.estimator];
      const posterior = posteriorOf(method);
      const dashes = state.panel.posteriors.indexOf(posterior) % 5;
      const name = state.posteriors.size > 1 ? `${method.label}, ${posterior.label}` : method.label;
      return { method, posterior, name, letter: letter(i), marker, style: `c-${colour} d${dashes}` };
    });
  }

  /** Path of a marker of matplotlib's name, so that curves look as in the figures. */
  function markerPath(marker, x, y, size = 4) {
    if (marker === "o") return `M${x - size} ${y}a${size} ${size} 0 1 0 ${2 * size} 0a${size} ${size} 0 1 0 ${-2 * size} 0z`;
    const [corners, turn, inner] = {
      s: [4, 45, 1], D: [4, 0, 1], d: [4, 0, 0.7], "^": [3, 0, 1], v: [3, 180, 1], "<": [3, 270, 1], ">": [3, 90, 1],
      p: [5, 0, 1], h: [6, 0, 1], H: [6, 30, 1], 8: [8, 22, 1], "*": [5, 0, 0.4], P: [4, 0, 0.35], X: [4, 45, 0.35],
    }[marker] || [4, 0, 1];
    const points = [];
    for (let i = 0; i < 2 * corners; i++) {
      if (i % 2 && inner === 1) continue;
      const angle = ((turn + (i * 180) / corners) * Math.PI) / 180;
      const radius = 1.25 * size * (i % 2 ? inner : 1);
      points.push(`${(x + radius * Math.sin(angle)).toFixed(1)} ${(y - radius * Math.cos(angle)).toFixed(1)}`);
    }
    return `M${points.join("L")}z`;
  }

  const curveKey = (curve) => [
    make("svg", { class: "key", viewBox: "0 0 28 12", "aria-hidden": "true" },
      make("path", { class: `curve ${curve.style}`, d: "M0 6H28" }),
      make("path", { class: `marker ${curve.style}`, d: markerPath(curve.marker, 14, 6) })),
    make("b", { class: "letter" }, curve.letter), curve.name,
  ];

  // --- charts ---

  /**
   * A line chart with labels at the ends of its curves and a cursor at one of its positions.
   * `setUp` returns title, description, axis labels, positions with `x` in [0, 1], and curves with `y`, `few` and
   * perhaps `low` and `high` by position; `show` is called with the position under the cursor.
   */
  class Chart {
    constructor(id, setUp, show, choose) {
      Object.assign(this, { id, setUp, show, choose, holder: $(id), position: 0 });
      new ResizeObserver(() => { if (this.holder.clientWidth !== this.drawnWidth) this.draw(); }).observe(this.holder);
    }

    draw() {
      const spec = (this.spec = this.setUp());
      const width = (this.drawnWidth = this.holder.clientWidth) || 640;
      const nameWidth = 52 + 6.6 * Math.max(0, ...spec.curves.map((curve) => curve.name.length));
      this.isNamed = nameWidth < 0.45 * width;
      const right = this.isNamed ? nameWidth : 66;
      const height = Math.max(280, Math.min(380, 0.6 * width), 70 + 16 * spec.curves.length);
      const box = (this.box = { left: 40, right: width - right, top: 12, bottom: height - 44 });
      const values = spec.curves.flatMap((curve) => curve.y.filter((y, i) => y != null && !curve.few[i]));
      const floor = Math.min(0.9, Math.floor(10 * Math.min(1, ...values)) / 10);
      const ceiling = spec.reachesOne ? 1 : Math.min(1, Math.ceil(10 * Math.max(floor + 0.1, ...values)) / 10);
      this.x = (i) => box.left + spec.x[i] * (box.right - box.left);
      this.y = (value) => box.bottom - ((Math.max(value, floor) - floor) / (ceiling - floor)) * (box.bottom - box.top);

      const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": `${this.id}-t ${this.id}-d` },
        make("title", { id: `${this.id}-t` }, spec.title), make("desc", { id: `${this.id}-d` }, spec.description));
      const step = ceiling - floor > 0.5 ? 0.2 : 0.1;
      for (let tick = ceiling; tick > floor - 0.01; tick -= step) {
        svg.append(make("line", { class: "grid", x1: box.left, x2: box.right, y1: this.y(tick), y2: this.y(tick) }),
          make("text", { x: box.left - 8, y: this.y(tick) + 4, class: "tick end" }, tick.toFixed(1)));
      }
      for (const [x, text] of spec.ticks) {
        svg.append(make("text", { x: box.left + x * (box.right - box.left), y: box.bottom + 17, class: "tick middle" }, text));
      }
      svg.append(make("text", { x: (box.left + box.right) / 2, y: height - 8, class: "axis middle" }, spec.xLabel));
      if (spec.bound) svg.append(make("path", { class: "bound", d: this.line(spec.bound, () => true) }));
      for (const curve of spec.curves) svg.append(this.drawCurve(curve));
      this.cursor = make("g", { class: "cursor" });
      svg.append(this.cursor, ...this.drawLabels());
      svg.addEventListener("pointermove", (event) => this.moveTo(this.nearest(event), true));
      svg.addEventListener("pointerleave", () => this.moveTo(this.position, false));
      svg.addEventListener("click", (event) => this.choose(this.nearest(event)));
      this.holder.replaceChildren(svg);
      const slider = this.holder.nextElementSibling.firstElementChild;  // as wide as the axis: 8 is half of its thumb
      slider.style.marginLeft = `${box.left - 8}px`;
      slider.style.width = `${box.right - box.left + 16}px`;
      this.moveTo(this.position, false);
    }

    line(values, isDrawn) {
      let path = "";
      let isDown = false;
      values.forEach((value, i) => {
        if (value == null) return;
        if (isDrawn(i)) path += `${isDown ? "L" : "M"}${this.x(i).toFixed(1)} ${this.y(value).toFixed(1)}`;
        isDown = isDrawn(i);
      });
      return path;
    }

    drawCurve({ y, few, style, marker, marked }) {
      const isFaint = (i) => few[i] || few[i - 1] || few[i + 1];
      const group = make("g", {},
        make("path", { class: `curve faint ${style}`, d: this.line(y, isFaint) }),
        make("path", { class: `curve ${style}`, d: this.line(y, (i) => !few[i]) }));
      for (const i of marked) {
        if (y[i] != null) {
          group.append(make("path", { class: `marker ${few[i] ? "faint" : ""} ${style}`, d: markerPath(marker, this.x(i), this.y(y[i])) }));
        }
      }
      return group;
    }

    /** Labels at the right ends, moved apart so that none covers another. */
    drawLabels() {
      const gap = 16;
      this.labels = this.spec.curves.map((curve) => {
        const reliable = curve.y.map((_, i) => i).filter((i) => curve.y[i] != null && !curve.few[i]);
        const last = reliable.sort((a, b) => this.spec.x[a] - this.spec.x[b]).at(-1);
        return { curve, end: last == null ? this.box.bottom : this.y(curve.y[last]), value: make("tspan", { class: "value" }) };
      });
      const sorted = [...this.labels].sort((a, b) => a.end - b.end);
      sorted.forEach((label, i) => { label.at = Math.max(label.end, i ? sorted[i - 1].at + gap : this.box.top + 4); });
      let limit = this.box.bottom;
      for (const label of sorted.reverse()) limit = (label.at = Math.min(label.at, limit)) - gap;
      return this.labels.map(({ curve, end, at, value }) => make("g", {},
        make("path", { class: `leader ${curve.style}`, d: `M${this.box.right + 2} ${end}L${this.box.right + 12} ${at}` }),
        make("text", { class: `label ${curve.style}`, x: this.box.right + 15, y: at + 4 },
          this.isNamed ? `${curve.name} ` : `${curve.letter} `, value)));
    }

    nearest(event) {
      const frame = this.holder.firstElementChild.getBoundingClientRect();
      const x = ((event.clientX - frame.left) / frame.width) * this.drawnWidth;
      return this.spec.x.reduce((best, _, i) => (Math.abs(this.x(i) - x) < Math.abs(this.x(best) - x) ? i : best), 0);
    }

    /** Show the numbers at a position; a preview under the pointer ends when the pointer leaves. */
    moveTo(position, isPreview) {
      if (!isPreview) this.position = position;
      const x = this.x(position);
      this.cursor.replaceChildren(make("line", { class: isPreview ? "preview" : "", x1: x, x2: x, y1: this.box.top, y2: this.box.bottom }));
      this.labels.forEach(({ curve, value }, i) => {
        const y = curve.y[position];
        value.textContent = formatNumber(y, 2);
        if (y == null) return;
        const at = x + 3 * (i - (this.labels.length - 1) / 2);  // intervals of several methods beside each other
        if (curve.low) {
          this.cursor.append(make("path", { class: `whisker ${curve.style}`, d: `M${at} ${this.y(curve.low[position])}V${this.y(curve.high[position])}` }));
        }
        this.cursor.append(make("path", { class: `spot ${curve.style}`, d: markerPath("o", x, this.y(y), 3) }));
      });
      this.show(position, this.spec.curves);
    }
  }

  const precision = ({ method, posterior }, i) => 1 - method.errors[i] / posterior.answered[i];

  function setUpRejection() {
    const { coverage, title, posteriors } = state.panel;
    const curves = chosenCurves().map((curve) => ({
      ...curve,
      y: coverage.map((_, i) => precision(curve, i)),
      few: curve.posterior.answered.map((count) => count < FEW_QUERIES),
      marked: coverage.map((_, i) => i).filter((i) => (coverage.length - 1 - i) % Math.ceil(coverage.length / 8) === 0),
      low: curve.method.low,
      high: curve.method.high,
    }));
    const first = curves[0]?.posterior || posteriors[0];
    return {
      curves,
      title: `Rejection curves, ${title}`,
      description: `Precision of the first results when only the most certain queries are answered, from all queries at ` +
        `the left to few at the right. The dotted line is the best that any estimator could do with ${first.label}. ` +
        `The table below has the numbers.`,
      x: coverage.map((share) => 1 - share),
      ticks: [0, 0.2, 0.4, 0.6, 0.8, 1].map((x) => [x, `${Math.round(100 * (1 - x))}`]),
      xLabel: "% of the queries answered",
      bound: first.oracle,
      reachesOne: true,
    };
  }

  function setUpCalibration() {
    const levels = Math.max(1, ...state.panel.methods.flatMap((method) => method.calibration.level.map((level) => level + 1)));
    const positions = [...Array(levels).keys()];
    const curves = chosenCurves().map((curve) => {
      const { level, recall, count } = curve.method.calibration;
      const spread = (values) => positions.map((position) => values[level.indexOf(position)] ?? null);
      const counts = spread(count);
      return { ...curve, y: spread(recall), counts, few: counts.map((n) => n < FEW_QUERIES), marked: positions };
    });
    return {
      curves,
      title: `Calibration curves, ${state.panel.title}`,
      description: "Recall@1 of the queries of each level of uncertainty, from the most certain level at the left to the " +
        "least certain at the right: a good estimator falls steadily. The table below has the numbers.",
      x: positions.map((i) => (i + 0.5) / levels),
      ticks: positions.map((i) => [(i + 0.5) / levels, `${i + 1}`]),
      xLabel: "level of uncertainty (1: most certain)",
    };
  }

  const interval = (low, high) => `[${formatNumber(low)}, ${formatNumber(high)}]`;

  function showOperatingPoint(i, curves) {
    fillTable($("operating"), ["Method", "Answered", "of", "Precision", "Interval", "Errors"], curves.map((curve) => [
      curveKey(curve),
      formatCount(curve.posterior.answered[i]),
      formatShare(curve.posterior.answered[i] / curve.posterior.n_queries),
      formatNumber(precision(curve, i)),
      interval(curve.method.low[i], curve.method.high[i]),
      formatCount(curve.method.errors[i]),
    ]));
  }

  function showLevel(i, curves) {
    fillTable($("at-level"), ["Method", "Queries", "R@1"], curves.map((curve) => [
      curveKey(curve), curve.counts[i] == null ? "–" : formatCount(curve.counts[i]), formatNumber(curve.y[i]),
    ]));
  }

  /** The tables below the charts, which do not depend on the cursor. */
  function showAllNumbers() {
    const { curves, title } = rejection.spec;
    const { coverage } = state.panel;
    const everyTwentieth = coverage.map((_, i) => i).filter((i) => (coverage.length - 1 - i) % Math.ceil(coverage.length / 20) === 0);
    fillTable($("rejection-numbers"), ["Answered", ...curves.map((curve) => curve.name)],
      everyTwentieth.reverse().map((i) => [formatShare(coverage[i]),
        ...curves.map((curve) => `${formatNumber(precision(curve, i))} ${interval(curve.method.low[i], curve.method.high[i])}`)]));
    $("rejection-numbers").prepend(make("caption", {}, `${title}: precision and its interval at each share of answered queries`));
    const levels = calibration.spec;
    fillTable($("calibration-numbers"), ["Level", ...levels.curves.map((curve) => curve.name)],
      levels.x.map((_, i) => [`${i + 1}`, ...levels.curves.map((curve) =>
        (curve.y[i] == null ? "–" : `${formatNumber(curve.y[i])} of ${formatCount(curve.counts[i])}`))]));
    $("calibration-numbers").prepend(make("caption", {}, `${levels.title}: R@1 and number of queries of each level`));
    $("definitions").querySelector("dl").replaceChildren(
      ...[...new Map(curves.map(({ method }) => [method.estimator, method])).values()].map((method) =>
        make("div", {}, make("dt", {}, method.label),
          make("dd", {}, make("span", {}, method.definition), " ", make("em", {}, method.source)))));
  }

  function curveRows() {
    const { id, coverage } = state.panel;
    const rows = [["panel", "posterior", "estimator", "coverage", "answered", "precision", "low", "high", "errors"]];
    for (const curve of chosenCurves()) {
      const { method, posterior } = curve;
      coverage.forEach((share, i) => rows.push([id, method.posterior, method.estimator, share, posterior.answered[i],
        +precision(curve, i).toFixed(6), method.low[i], method.high[i], method.errors[i]]));
    }
    return rows;
  }

  function levelRows() {
    const rows = [["panel", "posterior", "estimator", "level", "queries", "recall_at_1"]];
    for (const { method } of chosenCurves()) {
      const { level, recall, count } = method.calibration;
      level.forEach((number, i) => rows.push([state.panel.id, method.posterior, method.estimator, number + 1, count[i], recall[i]]));
    }
    return rows;
  }

  let rejection, calibration;

  /** Check boxes of the posteriors or the estimators of the panel. */
  function showChoice(key, entries) {
    const update = () => {
      const names = entries.filter(([id]) => state[key].has(id)).map(([, label]) => label);
      $(`${key.slice(0, -1)}-choice`).querySelector(".chosen").textContent =
        names.length > 2 ? `${names.length} of ${entries.length}` : names.join(", ") || "none";
    };
    $(key).replaceChildren(...entries.map(([id, label]) => {
      const box = make("input", { type: "checkbox", value: id });
      box.checked = state[key].has(id);
      box.addEventListener("change", () => {
        state[key][box.checked ? "add" : "delete"](id);
        update();
        drawCharts();
        writeAddress();
      });
      return make("label", {}, box, " ", label);
    }));
    update();
  }

  function drawCharts() {
    rejection.draw();
    calibration.draw();
    showAllNumbers();
    const isEmpty = rejection.spec.curves.length === 0;
    $("setup").textContent = isEmpty ? "Nothing is chosen: choose a posterior and an estimator." : state.panel.setup;
  }

  function setSlider(slider, maximum, value, text) {
    Object.assign(slider, { min: 0, max: maximum, step: 1 });
    slider.value = value;
    slider.setAttribute("aria-valuetext", text);
  }

  function announce(id, curve, text) {
    $(id).textContent = curve ? `${curve.name}: ${text}` : "";
  }

  function answerAt(i) {
    const { coverage } = state.panel;
    state.answer = coverage[i];
    setSlider($("answer-share"), coverage.length - 1, i, `${formatShare(coverage[i])} of the queries`);
    $("answer-output").textContent = formatShare(coverage[i]);
    rejection.moveTo(i, false);
    const [curve] = rejection.spec.curves;
    announce("answer-status", curve, curve && `${formatCount(curve.method.errors[i])} errors in ` +
      `${formatCount(curve.posterior.answered[i])} answers, precision ${formatNumber(precision(curve, i))}`);
  }

  function levelAt(i) {
    const { spec } = calibration;
    state.level = i;
    setSlider($("level"), spec.x.length - 1, i, `level ${i + 1} of ${spec.x.length}`);
    $("level-output").textContent = `${i + 1} of ${spec.x.length}`;
    calibration.moveTo(i, false);
    const [curve] = spec.curves;
    announce("level-status", curve, curve && `R@1 ${formatNumber(curve.y[i])} of ${formatCount(curve.counts[i] ?? 0)} queries`);
  }

  function showPanel() {
    const { panel } = state;
    const known = (key, names) => state[key] && [...state[key]].some((name) => names.includes(name));
    const methods = [...new Map(panel.methods.map((method) => [method.estimator, method.label]))];
    if (!known("posteriors", panel.posteriors.map(({ id }) => id)) || !known("estimators", methods.map(([id]) => id))) chooseDefaults();
    $("panel").value = panel.id;
    showChoice("posteriors", panel.posteriors.map(({ id, label }) => [id, label]));
    showChoice("estimators", methods.sort(([, a], [, b]) => a.localeCompare(b)));
    const distance = (i) => Math.abs(panel.coverage[i] - state.answer);
    rejection.position = panel.coverage.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
    calibration.position = 0;
    drawCharts();
    answerAt(rejection.position);
    levelAt(Math.min(Math.max(0, state.level), calibration.spec.x.length - 1));
  }

  function startCharts() {
    state.panel = DATA.panels[0];
    const isShared = readAddress();
    const slideTo = (set) => (i) => { set(i); writeAddress(); };
    rejection = new Chart("rejection", setUpRejection, showOperatingPoint, slideTo(answerAt));
    calibration = new Chart("calibration", setUpCalibration, showLevel, slideTo(levelAt));
    $("panel").append(...DATA.panels.map(({ id, title }) => make("option", { value: id }, title)));
    $("panel").addEventListener("change", () => {
      state.panel = DATA.panels.find(({ id }) => id === $("panel").value);
      showPanel();
      writeAddress();
    });
    $("reset").addEventListener("click", () => { chooseDefaults(); showPanel(); writeAddress(); });
    $("answer-share").addEventListener("input", () => slideTo(answerAt)(+$("answer-share").value));
    $("level").addEventListener("input", () => slideTo(levelAt)(+$("level").value));
    $("rejection-csv").addEventListener("click", () => saveFile(`${DATA.name}-rejection.csv`, toCsv(curveRows())));
    $("calibration-csv").addEventListener("click", () => saveFile(`${DATA.name}-calibration.csv`, toCsv(levelRows())));
    showPanel();
    addEventListener("hashchange", () => { if (readAddress()) { showPanel(); $("curves").scrollIntoView(); } });
    if (isShared) $("curves").scrollIntoView();
  }

  // --- tables ---

  function makeSortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = make("button", { type: "button" }, ...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const before = heading.getAttribute("aria-sort");
        const isAscending = before ? before === "descending" : heading.dataset.better !== "high" && !heading.matches(".mark");
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
        const isText = heading.matches(".text");
        const value = (row) => row.cells[column].dataset.value;
        const compare = (a, b) => (isText ? a.localeCompare(b, "en", { numeric: true }) : a - b) * (isAscending ? 1 : -1);
        const rows = [...body.rows].sort((a, b) =>  // what is not defined comes last
          (value(a) === "") - (value(b) === "") || (value(a) === "" ? 0 : compare(value(a), value(b))));
        body.append(...rows);
      });
    });
  }

  const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter(Boolean);

  function filterRows(input) {
    const rows = [...$(`rows-${input.dataset.rows}`).tBodies[0].rows];
    const words = wordsOf(input.value);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    const shown = rows.filter((row) => !row.hidden).length;
    input.closest(".tools").querySelector(".count").textContent = `${shown} of ${rows.length} rows`;
  }

  // --- query cards ---

  const MATCHES = ["", "labelled match", "match, not labelled"];
  let page = 0;

  const cardsOfPanel = () => DATA.queries.find(({ panel }) => panel === $("query-panel").value);
  const labelOf = (cards, estimator) => cards.estimators.find(([id]) => id === estimator)[1];

  function showItem(name, text, thumbnail) {
    if (thumbnail >= 0) return make("img", { src: DATA.thumbnails[thumbnail], width: 64, height: 64, alt: text || `image ${name}` });
    return make("span", { class: "item" }, text || name);
  }

  function galleryItem({ gallery }, row) {
    return showItem(gallery.id[row], gallery.text[row], gallery.thumbnail[row]);
  }

  function showAnswer(cards, i) {
    if (cards.hit[i]) return null;
    if (cards.answer[i] < 0) return make("p", { class: "labelled" }, "Its labelled match is not in the gallery.");
    const rank = cards.rank[i] == null ? "beyond the ranks that are kept" : `at rank ${cards.rank[i]}`;
    if (cards.rank[i] != null && cards.rank[i] <= cards.top[i].length) return null;
    return make("p", { class: "labelled" }, `Labelled match, ${rank}: `, galleryItem(cards, cards.answer[i]));
  }

  function uncertaintyBar(cards, estimator, i) {
    const share = cards.share[estimator][i];
    const fill = make("span", { class: "fill" });
    fill.style.width = `${100 * share}%`;
    return make("li", {}, make("span", { class: "name" }, labelOf(cards, estimator)), make("span", { class: "track", "aria-hidden": "true" }, fill),
      make("span", { class: "amount" }, formatShare(share)));
  }

  function makeCard(cards, i, order) {
    const defaults = DATA.panels.find(({ id }) => id === cards.panel).methods.filter((method) => method.is_default);
    const first = [...new Set([order, ...defaults.map((method) => method.estimator)])].filter((name) => name in cards.share);
    const others = cards.estimators.map(([id]) => id).filter((id) => !first.includes(id));
    const bars = (names) => make("ul", { class: "bars" }, ...names.map((name) => uncertaintyBar(cards, name, i)));
    const isHit = cards.hit[i];
    return make("article", { class: `card ${isHit ? "hit" : "miss"}`, "data-query": cards.id[i] },
      make("h3", {}, showItem(cards.id[i], cards.text[i], cards.thumbnail[i])),
      make("p", { class: "facts" }, make("b", { class: "verdict-mark" }, isHit ? "✓ right" : "✗ wrong"),
        cards.level[i] ? ` · ${cards.level[i]}` : "", ` · ${cards.id[i]}`),
      make("ol", { class: cards.gallery.thumbnail[cards.top[i][0]] >= 0 ? "top pictures" : "top" }, ...cards.top[i].map((row, k) => {
        const match = MATCHES[cards.positive[i][k]];
        return make("li", { class: match ? "match" : null }, galleryItem(cards, row),
          make("span", { class: "similarity" }, formatNumber(cards.similarity[i][k])),
          match ? make("span", { class: "match-mark" }, `✓ ${match}`) : null);
      })),
      showAnswer(cards, i),
      make("p", { class: "bars-title" }, "Share of queries that are more certain:"),
      bars(first),
      others.length ? make("details", {}, make("summary", {}, `${others.length} more estimators`), bars(others)) : null);
  }

  function selectedQueries(cards) {
    const [hit, level, words] = [$("query-hit").value, $("query-level").value, wordsOf($("query-text").value)];
    const share = cards.share[$("query-order").value];
    const sign = $("query-first").value === "certain" ? 1 : -1;
    const text = (i) => [cards.id[i], cards.text[i], ...cards.top[i].map((row) => cards.gallery.text[row])].join(" ").toLowerCase();
    return cards.id.map((_, i) => i)
      .filter((i) => (!hit || cards.hit[i] === (hit === "hit")) && (!level || cards.level[i] === level))
      .filter((i) => words.length === 0 || words.every((word) => text(i).includes(word)))
      .sort((a, b) => sign * (share[a] - share[b]));
  }

  function showCards() {
    const cards = cardsOfPanel();
    const selected = selectedQueries(cards);
    const pages = Math.max(1, Math.ceil(selected.length / CARDS_PER_PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const shown = selected.slice(page * CARDS_PER_PAGE, (page + 1) * CARDS_PER_PAGE);
    $("cards").replaceChildren(...shown.map((i) => makeCard(cards, i, $("query-order").value)));
    $("query-status").textContent = `${selected.length} of ${cards.id.length} queries, page ${page + 1} of ${pages}`;
    for (const button of document.querySelectorAll(".pager button")) {  // a disabled button would lose the focus
      button.setAttribute("aria-disabled", +button.dataset.step < 0 ? page === 0 : page === pages - 1);
    }
  }

  function showQueryPanel() {
    const cards = cardsOfPanel();
    const order = $("query-order").value;
    $("query-order").replaceChildren(...cards.estimators.map(([id, label]) => make("option", { value: id }, label)));
    if (order in cards.share) $("query-order").value = order;
    const levels = [...new Set(cards.level)].filter(Boolean).sort();
    $("query-level").replaceChildren(make("option", { value: "" }, "any"), ...levels.map((level) => make("option", {}, level)));
    $("level-field").hidden = levels.length === 0;
    $("sample").textContent = cards.sample;
    page = 0;
    showCards();
  }

  function startCards() {
    const title = (id) => DATA.panels.find((panel) => panel.id === id).title;
    $("query-panel").append(...DATA.queries.map(({ panel }) => make("option", { value: panel }, title(panel))));
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("filters").addEventListener("input", (event) => {
      page = 0;
      if (event.target.id === "query-panel") showQueryPanel(); else showCards();
    });
    $("filters").addEventListener("reset", () => setTimeout(showQueryPanel));
    for (const button of document.querySelectorAll(".pager button")) {
      button.addEventListener("click", () => {
        if (button.getAttribute("aria-disabled") === "true") return;
        page += +button.dataset.step;
        showCards();
        document.querySelector(`.pager button[data-step="${button.dataset.step}"]`).focus();
      });
    }
    showQueryPanel();
  }

  // --- start ---

  if (DATA.panels.length) startCharts();
  if (DATA.queries.length) startCards();
  for (const table of document.querySelectorAll(".table table")) makeSortable(table);
  for (const input of document.querySelectorAll("[data-rows]")) input.addEventListener("input", () => filterRows(input));
  for (const button of document.querySelectorAll("[data-download]")) {
    const { name, text } = DATA.downloads[+button.dataset.download];
    button.addEventListener("click", () => saveFile(name, text));
  }

  // On paper everything is open.
  let opened = [];
  matchMedia("print").addEventListener("change", ({ matches }) => {
    if (matches) opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = matches;
  });
})();

"use strict";
document.documentElement.classList.add("js");

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

const FIRST = 6;

for (const filters of all(".filters:not(.kinds)")) {
  const section = filters.parentElement;
  const buttons = all("button", filters);
  const cards = all(".card", section);
  const more = section.querySelector(".more");
  const choose = (chosen, limit) => {
    const [key, value] = chosen.dataset.filter.split(/=(.*)/s);
    const fitting = cards.filter((card) => key === "all" || card.dataset[key] === value);
    for (const button of buttons) button.setAttribute("aria-pressed", button === chosen);
    for (const card of cards) card.hidden = true;
    for (const card of fitting.slice(0, limit)) card.hidden = false;
    section.querySelector(".nothing").hidden = fitting.length > 0;
    more.hidden = fitting.length <= limit;
    more.textContent = `Show ${fitting.length - limit} more`;
    more.onclick = () => choose(chosen, Infinity);
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button, FIRST));
  choose(buttons[0], FIRST);
}

for (const browse of all(".browse")) {
  const section = browse.parentElement;
  const panels = all(".panel", section);
  const kinds = all(".kinds button", section);
  const slider = browse.querySelector("input");
  let fitting = panels;
  const show = () => {
    const chosen = panels[slider.value];
    for (const panel of panels) panel.hidden = panel !== chosen;
    browse.querySelector("output").textContent = chosen.querySelector(".update").textContent;
    section.querySelector(".nothing").hidden = fitting.includes(chosen);
  };
  const go = (index) => { slider.value = index; show(); };
  const choose = (button) => {
    for (const one of kinds) one.setAttribute("aria-pressed", one === button);
    const fits = (one) => !button.dataset.kind || one.dataset.kinds.split(" ").includes(button.dataset.kind);
    fitting = panels.filter((panel) => {
      for (const card of all(".card", panel)) {
        const written = all("[data-kinds]", card);
        for (const one of written) one.hidden = !fits(one);
        const first = written.find(fits);
        for (const one of written) one.open = one === first;
        card.hidden = written.length > 0 && written.every((one) => one.hidden);
      }
      return all(".card", panel).some((card) => !card.hidden);
    });
    const at = Number(slider.value);
    const distance = (panel) => Math.abs(panels.indexOf(panel) - at);
    if (fitting.length) go(panels.indexOf(fitting.reduce((a, b) => (distance(b) < distance(a) ? b : a))));
    else show();
  };
  slider.addEventListener("input", show);
  for (const button of all("button", browse)) {
    const forward = Number(button.dataset.step) > 0;
    button.addEventListener("click", () => {
      const at = Number(slider.value);
      const ahead = fitting.map((panel) => panels.indexOf(panel)).filter((i) => (forward ? i > at : i < at));
      if (ahead.length) go(forward ? Math.min(...ahead) : Math.max(...ahead));
    });
  }
  for (const button of kinds) button.addEventListener("click", () => choose(button));
  go(panels.length - 1);
}

const readable = (value) =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));

const drawn = (name, attributes, parent) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return parent.appendChild(element);
};

const pointsOf = (path) =>
  path.getAttribute("d").slice(1).replace("Z", "").split("L").map((pair) => pair.split(" ").map(Number));

const tracesOf = (chart) => [
  ...all(".line", chart).map((line) => ({ name: line.dataset.name, points: pointsOf(line), group: line.parentElement })),
  ...all(".band", chart).flatMap((band) => {
    const points = pointsOf(band);
    const edges = [points.slice(0, points.length / 2), points.slice(points.length / 2).reverse()];
    return band.dataset.name.split("|").map((name, i) => ({ name, points: edges[i] }));
  }),
];

const nearest = (points, x) => {
  let low = 0, high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle; else high = middle;
  }
  return x - points[low][0] < points[high][0] - x ? points[low] : points[high];
};

for (const chart of all(".chart")) {
  const [x0, x1, y0, y1] = chart.dataset.frame.split(" ").map(Number);
  const [left, right, bottom, top] = chart.dataset.plot.split(" ").map(Number);
  const bend = Number(chart.dataset.bend || 0);
  const figure = chart.parentElement;
  const output = figure.querySelector("output");
  const cells = all(".value b", figure);
  const resting = [output, ...cells].map((one) => one?.textContent);
  let traces, cursor;
  const prepare = () => {
    cursor = drawn("line", { class: "cursor", y1: top, y2: bottom }, chart);
    traces = tracesOf(chart).map((trace) => ({
      ...trace,
      mark: trace.group && drawn("circle", { class: "mark", r: 4.5 }, trace.group),
    }));
  };
  const valueAt = (y) => {
    const height = y0 + ((bottom - y) / (bottom - top)) * (y1 - y0);
    return readable(bend ? bend * Math.sinh(height) : height);
  };
  chart.addEventListener("pointermove", (event) => {
    if (!traces) prepare();
    const box = chart.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
    const near = traces.map(({ points }) => nearest(points, wanted));
    const at = near.reduce((a, b) => (Math.abs(b[0] - wanted) < Math.abs(a[0] - wanted) ? b : a))[0];
    const values = [];
    traces.forEach(({ name, mark }, i) => {
      const [x, y] = near[i];
      const here = Math.abs(x - at) < 6;
      for (const [key, value] of Object.entries({ cx: x, cy: y, visibility: here ? "visible" : "hidden" })) {
        mark?.setAttribute(key, value);
      }
      if (here) values.push([name, valueAt(y)]);
    });
    const update = Math.round(x0 + ((at - left) / (right - left)) * (x1 - x0));
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    const said = new Map(values);
    for (const cell of cells) cell.textContent = said.get(cell.parentElement.dataset.name) ?? "–";
    const told = cells.length ? "" : `: ${values.map(([, value]) => value).join(", ")} ${chart.dataset.unit}`;
    if (output) output.textContent = `${chart.dataset.x} ${update}${told}`.trim();
  });
  chart.addEventListener("pointerleave", () => {
    [output, ...cells].forEach((one, i) => { if (one) one.textContent = resting[i]; });
    for (const element of all(".cursor, .mark", chart)) element.remove();
    traces = undefined;
  });
}

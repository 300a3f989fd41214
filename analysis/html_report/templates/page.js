// Sorting, filters, hints, the chooser and the samples, bound with D3 to a page that is complete without them.
// What comes from files is only ever set as text.
"use strict";
(function (d3) {
  const plural = (count, word) => count + " " + word + (count === 1 ? "" : "s");

  // --- hints: what a mark or a cell says, by pointer, finger or arrow keys ----------------------------------------
  const hint = d3.select("#hint");
  let at = null;

  function hide() {
    hint.attr("hidden", true);
    if (at) at.classList.remove("at");
    at = null;
  }

  function show(element) {
    hide();
    at = element;
    element.classList.add("at");
    hint.text(element.getAttribute("data-tip")).attr("hidden", null);
    const box = element.getBoundingClientRect(), own = hint.node().getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.max(8, Math.min(box.left + box.width / 2 - own.width / 2, width - own.width - 8));
    const above = box.top - own.height - 8;
    hint.style("left", left + window.scrollX + "px")
      .style("top", (above > 4 ? above : box.bottom + 8) + window.scrollY + "px");
  }

  d3.selectAll("td[title]").each(function () {
    this.setAttribute("data-tip", this.title);
    this.removeAttribute("title");
  });
  d3.selectAll("[data-tip]")
    .on("pointerenter", function () { show(this); })
    .on("pointerleave", hide)
    .on("click", function () { show(this); });

  // One stop for Tab per drawing; the arrow keys go from mark to mark.
  d3.selectAll("[data-roving]").each(function () {
    const marks = () => Array.from(this.querySelectorAll("[data-tip]")).filter((mark) => mark.getClientRects().length);
    let index = -1;
    d3.select(this).attr("tabindex", 0).attr("aria-description", "Arrow keys go from mark to mark.")
      .on("keydown", function () {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[d3.event.key];
        if (d3.event.key === "Escape") hide();
        if (!step || d3.event.target !== this) return;
        d3.event.preventDefault();
        const all = marks();
        if (!all.length) return;
        index = (index + step + all.length) % all.length;
        all[index].scrollIntoView({ block: "nearest", inline: "nearest" });
        show(all[index]);
      })
      .on("blur", hide);
  });

  // --- tables: a click on a title sorts, words typed above filter ---------------------------------------------------
  function value(row, column) {
    const field = row.cells[column], sort = field.getAttribute("data-sort");
    return sort === null ? field.textContent.trim() : Number(sort);
  }

  function compare(one, other) {
    // Numbers before words, so that what is not known ends the list.
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    return typeof one === "number" ? d3.ascending(one, other) : one.localeCompare(other, "en", { numeric: true });
  }

  d3.selectAll("table.list").each(function () {
    const table = d3.select(this), heads = table.selectAll("thead th");
    heads.each(function (_, column) {
      const head = d3.select(this), title = head.text();
      head.text("").append("button").attr("type", "button").text(title).on("click", function () {
        const falling = head.attr("aria-sort") === "ascending";
        heads.attr("aria-sort", null);
        head.attr("aria-sort", falling ? "descending" : "ascending");
        const body = table.select("tbody").node();
        const rows = Array.from(body.rows).sort((a, b) => compare(value(a, column), value(b, column)));
        (falling ? rows.reverse() : rows).forEach((row) => body.appendChild(row));
      });
    });
  });

  function options(table) { // columns of words with a few different ones get a list to choose from
    return table.selectAll("thead th").nodes().map((head, column) => {
      const rows = Array.from(table.node().tBodies[0].rows);
      const words = Array.from(new Set(rows.map((row) => row.cells[column].textContent.trim())));
      return { column, title: head.textContent, number: head.classList.contains("number"), words: words.sort((a, b) => a.localeCompare(b, "en", { numeric: true })) };
    }).filter((one) => !one.number && one.words.length > 1 && one.words.length <= 12 && one.words.every((word) => word.length < 60));
  }

  d3.selectAll("[data-filter-for]").each(function () {
    const tools = d3.select(this), table = d3.select(document.getElementById(this.getAttribute("data-filter-for")));
    if (tools.attr("hidden") !== null) return;
    const rows = Array.from(table.node().tBodies[0].rows), chosen = new Map();
    let typed = "";
    const count = d3.create("span").attr("aria-live", "polite");
    function apply() {
      const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word)) &&
          Array.from(chosen).every(([column, word]) => !word || row.cells[column].textContent.trim() === word);
        row.hidden = !fits;
        left += fits;
      });
      count.text(left === rows.length ? plural(left, "row") : left + " of " + plural(rows.length, "row"));
    }
    tools.append("input").attr("type", "search").attr("placeholder", "Filter").attr("aria-label", "Filter the rows")
      .on("input", function () { typed = this.value; apply(); });
    options(table).forEach((one) => {
      const select = tools.append("select").attr("aria-label", one.title).on("change", function () {
        chosen.set(one.column, this.value);
        apply();
      });
      select.append("option").attr("value", "").text(one.title + ": all");
      select.selectAll("option.word").data(one.words).enter().append("option").attr("value", (word) => word).text((word) => word);
    });
    tools.append(() => count.node());
    apply();
  });

  // --- legends: a click puts a series in the background --------------------------------------------------------------
  d3.selectAll("figure.panels").each(function () {
    const figure = d3.select(this);
    figure.selectAll("li[data-series]").attr("role", "button").attr("tabindex", 0).attr("aria-pressed", "true")
      .on("click", toggle)
      .on("keydown", function () {
        if (d3.event.key !== "Enter" && d3.event.key !== " ") return;
        d3.event.preventDefault();
        toggle.call(this);
      });
    function toggle() {
      const off = this.getAttribute("aria-pressed") === "true", series = this.getAttribute("data-series");
      this.setAttribute("aria-pressed", String(!off));
      figure.selectAll("[data-series]").filter(function () { return this.getAttribute("data-series") === series; })
        .classed("off", off);
    }
  });

  // --- the chooser ---------------------------------------------------------------------------------------------------
  d3.selectAll("[data-chooser]").each(function () {
    const panel = d3.select(this), form = panel.select(".choices"), advice = panel.select(".advice");
    const runs = JSON.parse(panel.select("script").text()).runs;
    let run = runs[0], where = [];

    function answer() {
      const cell = run.cells.find((one) => one.where.every((value, index) => value === where[index]));
      advice.text("");
      const word = advice.append("p").attr("class", "use").append("span");
      if (!cell) {
        word.attr("class", "word silent").text("Not measured: no cell has this combination.");
        return;
      }
      word.attr("class", "word " + cell.style).text(cell.text.charAt(0).toUpperCase() + cell.text.slice(1));
      advice.append("ul").selectAll("li").data(cell.evidence).enter().append("li").text((text) => text);
    }

    function list(title, values, chosen, change) {
      const select = form.append("label").text(title).append("select").on("change", function () { change(this.value); });
      select.selectAll("option").data(values).enter().append("option").attr("value", (one) => one[0]).text((one) => one[1]);
      select.property("value", chosen);
    }

    function build() {
      form.text("");
      // Begin where there is an answer.
      where = (run.cells.find((one) => one.style === "for" || one.style === "equal") ||
        run.cells.find((one) => one.style !== "silent") || run.cells[0]).where.slice();
      if (runs.length > 1) {
        list("run or link", runs.map((one, index) => [String(index), one.run]), String(runs.indexOf(run)), function (value) {
          run = runs[Number(value)];
          build();
        });
      }
      run.factors.forEach((factor, index) => {
        list(factor.title, factor.values, where[index], function (value) { where[index] = value; answer(); });
      });
      answer();
    }

    form.on("submit", () => d3.event.preventDefault());
    panel.attr("hidden", null);
    build();
  });

  // --- samples: numbers become a strip when they are opened ------------------------------------------------------------
  d3.selectAll("details.cell-samples").on("toggle", function () {
    if (!this.open || this.querySelector("svg")) return;
    const series = Array.from(this.querySelectorAll("samp"));
    const launches = series.map((one) => one.textContent.split(";").map((part) => part.trim().split(/\s+/).map(Number)));
    const times = launches.flat(2);
    const x = d3.scaleLinear().domain(d3.extent(times)).nice(5).range([1, 99]);
    series.forEach((one, index) => {
      const svg = d3.create("svg").attr("role", "img").attr("aria-label", plural(launches[index].flat().length, "sample"));
      svg.selectAll("line").data(x.ticks(5)).enter().append("line").attr("class", "grid")
        .attr("x1", (t) => x(t) + "%").attr("x2", (t) => x(t) + "%").attr("y1", 0).attr("y2", "65%");
      svg.selectAll("text").data(x.ticks(5)).enter().append("text").attr("class", "tick").attr("text-anchor", "middle")
        .attr("x", (t) => x(t) + "%").attr("y", "98%").text((t) => x.tickFormat(5)(t) + " ms");
      const y = d3.scalePoint().domain(d3.range(launches[index].length)).range([10, 55]).padding(.5);
      launches[index].forEach((part, launch) => {
        svg.append("g").selectAll("circle").data(part).enter().append("circle").attr("r", 2.5).attr("fill", "currentColor")
          .attr("fill-opacity", .6).attr("cx", (t) => x(t) + "%").attr("cy", y(launch) + "%")
          .append("title").text((t) => t + " ms, launch " + (launch + 1));
      });
      const told = d3.create("details");
      told.append("summary").text(plural(launches[index].flat().length, "value") + ", ms");
      one.parentNode.insertBefore(svg.node(), one);
      one.parentNode.insertBefore(told.node(), one);
      told.node().appendChild(one);
    });
  });

  // --- print: what is folded for the screen only is unfolded on paper ----------------------------------------------------
  window.addEventListener("beforeprint", () => d3.selectAll("figure details.more, details.notes").attr("open", true));

  // --- contents: where the reader is -------------------------------------------------------------------------------------
  const links = new Map(d3.selectAll("nav a").nodes().map((link) => [link.getAttribute("href").slice(1), link]));
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    links.forEach((link, name) => link.classList.toggle("here", name === entry.target.id));
  }), { rootMargin: "-10% 0px -80% 0px" });
  d3.selectAll("main section").each(function () { seen.observe(this); });
})(d3);

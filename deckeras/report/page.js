"use strict";
// The page shows the same without this script, which sorts and filters lists and zooms the map.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

  // Show the rows of one cluster, or of all for "".
  function show(cluster, scroll) {
    all("[data-cluster]").forEach((element) => {
      const other = cluster !== "" && element.dataset.cluster !== cluster;
      element.classList.toggle(element.tagName === "I" ? "faded" : "hidden", other);
    });
    all("[data-pick]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.pick === cluster)));
    const choice = one("#choice");
    if (choice) choice.value = cluster;
    const count = one("#count");
    if (count) count.textContent = `${all("#list [data-cluster]:not(.hidden)").length} shown`;
    if (scroll && one("#rows")) one("#rows").scrollIntoView();
  }

  all("[data-pick]").forEach((button) =>
    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") === "true";
      show(pressed ? "" : button.dataset.pick, button.classList.contains("pick") && !pressed);
    }),
  );
  if (one("#choice")) one("#choice").addEventListener("change", (event) => show(event.target.value, false));

  // Sort by a column, with numbers by their values.
  const value = (row, column) => {
    const text = row.cells[column].dataset.value ?? row.cells[column].textContent;
    const number = Number(text.replaceAll(",", ""));
    return text.trim() !== "" && !Number.isNaN(number) ? number : text;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  all("table.sortable").forEach((table) =>
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? -1 : 1) * compare(value(a, column), value(b, column)));
        table.tBodies[0].append(...rows);
      });
    }),
  );
  const order = one("#order");
  if (order)
    order.addEventListener("change", () => {
      const sign = order.value === "down" ? -1 : 1;
      const figures = all("#list figure").sort((a, b) => sign * (a.dataset.q - b.dataset.q));
      one("#list").append(...figures);
    });

  // Download the shown rows as CSV.
  if (one("#download"))
    one("#download").addEventListener("click", () => {
      const table = one("#list table");
      const lines = table
        ? [[...table.tHead.rows[0].cells].map((cell) => cell.textContent)].concat(
            [...table.tBodies[0].rows]
              .filter((row) => !row.classList.contains("hidden"))
              .map((row) => [...row.cells].map((cell) => cell.dataset.value ?? cell.textContent)),
          )
        : [["row", "cluster", "q"]].concat(
            all("#list figure:not(.hidden)").map((figure) => [figure.dataset.name, figure.dataset.cluster, figure.dataset.q]),
          );
      // A spreadsheet would compute a text that looks like a formula.
      const inert = (text) => (/^\s*[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
      const quote = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
      const text = lines.map((line) => line.map(inert).map(quote).join(",")).join("\r\n") + "\r\n";
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
      link.download = "rows.csv";
      link.click();
      window.shownRows = text;
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });

  // Zoom the map by buttons, or by the wheel with Ctrl, and move it by dragging.
  const map = one(".map");
  if (map) {
    const plane = one(".plane", map);
    let zoom = 1, left = 0, top = 0;
    const draw = () => {
      const size = map.clientWidth;
      left = Math.min(0, Math.max(size * (1 - zoom), left));
      top = Math.min(0, Math.max(size * (1 - zoom), top));
      plane.style.transform = `translate(${left}px,${top}px) scale(${zoom})`;
      plane.style.setProperty("--zoom", zoom);
    };
    const zoomTo = (next, x, y) => {
      next = Math.min(20, Math.max(1, next));
      left = x - ((x - left) * next) / zoom;
      top = y - ((y - top) * next) / zoom;
      zoom = next;
      map.style.touchAction = zoom > 1 ? "none" : "pan-y";
      draw();
    };
    const middle = () => map.clientWidth / 2;
    all("[data-zoom]").forEach((button) =>
      button.addEventListener("click", () => zoomTo(button.dataset.zoom === "0" ? 1 : zoom * button.dataset.zoom, middle(), middle())),
    );
    map.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey && zoom === 1) return; // the page scrolls
        event.preventDefault();
        const box = map.getBoundingClientRect();
        zoomTo(zoom * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
      },
      { passive: false },
    );
    map.addEventListener("dblclick", (event) => {
      const box = map.getBoundingClientRect();
      zoomTo(zoom * 2, event.clientX - box.left, event.clientY - box.top);
    });
    let from = null;
    map.addEventListener("pointerdown", (event) => {
      if (zoom > 1) from = [event.clientX - left, event.clientY - top];
    });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      [left, top] = [event.clientX - from[0], event.clientY - from[1]];
      draw();
    });
    window.addEventListener("pointerup", () => (from = null));
    map.addEventListener("click", (event) => {
      all("i.open", map).forEach((mark) => mark.classList.remove("open"));
      if (event.target.tagName === "I") event.target.classList.add("open");
    });
  }

  one("#theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  document.documentElement.classList.add("scripted");
})();

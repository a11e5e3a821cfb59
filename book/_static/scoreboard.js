// Sorts the scoreboard by a click on a column's title, and filters its rows.
(function () {
  "use strict";

  function readCell(row, column) {
    const text = row.cells[column].textContent.trim();
    const number = Number.parseFloat(text);
    return { text, number, empty: text === "-" };
  }

  // Numbers by size, words by alphabet, missing values last in either direction.
  function compareRows(column, direction) {
    return (one, other) => {
      const a = readCell(one, column);
      const b = readCell(other, column);
      if (a.empty || b.empty) return a.empty - b.empty;
      const numeric = !Number.isNaN(a.number) && !Number.isNaN(b.number);
      const order = numeric ? a.number - b.number : a.text.localeCompare(b.text);
      return direction * order;
    };
  }

  function makeSortable(table) {
    const titles = [...table.tHead.rows[0].cells];
    titles.forEach((title, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title.textContent;
      title.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = title.getAttribute("aria-sort") !== "ascending";
        titles.forEach((each) => each.removeAttribute("aria-sort"));
        title.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows].sort(compareRows(column, up ? 1 : -1));
        body.append(...rows);
      });
    });
  }

  function makeFilterable(table, form) {
    const rows = [...table.tBodies[0].rows];
    function filter() {
      const wanted = Object.fromEntries(new FormData(form));
      const shown = rows.filter((row) =>
        Object.entries(wanted).every(([name, value]) => !value || row.dataset[name] === value),
      );
      rows.forEach((row) => (row.hidden = !shown.includes(row)));
      form.querySelector("output").textContent = `${shown.length} of ${rows.length}`;
    }
    form.hidden = false;
    form.addEventListener("change", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  document.addEventListener("DOMContentLoaded", () => {
    const table = document.querySelector("table.scoreboard");
    if (!table) return;
    makeSortable(table);
    makeFilterable(table, document.querySelector("form.filters"));
  });
})();

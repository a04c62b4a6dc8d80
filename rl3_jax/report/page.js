"use strict";

// Sorts a table by a column: numbers by the first number in a cell, empty cells always last.
function sortRows(table, column, descending) {
  const body = table.tBodies[0];
  const texts = [...body.rows].map((row) => row.cells[column].textContent.trim());
  const missing = texts.map((text) => text === "" || text === "–");
  const numbers = texts.map(parseFloat);
  const numeric = column > 0 && numbers.every((number, i) => missing[i] || !Number.isNaN(number));
  const compare = (i, j) => {
    if (missing[i] || missing[j]) return missing[i] - missing[j];
    const order = numeric ? numbers[i] - numbers[j] : texts[i].localeCompare(texts[j], "en", { numeric: true });
    return descending ? -order : order;
  };
  const rows = [...body.rows];
  const places = rows.map((_, i) => i).sort(compare);
  body.append(...places.map((i) => rows[i]));
}

for (const table of document.querySelectorAll("table")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      // Numbers start with the largest, names with the first.
      const now = header.getAttribute("aria-sort");
      const descending = now === "none" ? column > 0 && !table.classList.contains("texts") : now === "ascending";
      sortRows(table, column, descending);
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    });
  });
}

addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

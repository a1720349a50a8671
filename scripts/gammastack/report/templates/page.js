document.querySelectorAll(".viewer").forEach(startViewer);
document.querySelectorAll(".plot").forEach(startCharts);
document.querySelectorAll("table.sortable").forEach((table) => new Tablesort(table));
// What is folded in is printed, too.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));

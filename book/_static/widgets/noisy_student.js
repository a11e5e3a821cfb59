// Which of a recorded teacher's answers a threshold keeps, and how many of those are right.
(function () {
  "use strict";

  const add = (numbers) => numbers.reduce((sum, number) => sum + number, 0);

  function makeWidget(data, { draw, writeShare }) {
    const teachers = Object.entries(data.teachers);
    const longest = Math.max(...teachers.flatMap(([, { kept }]) => kept[0]));
    const controls = [{ name: "threshold, how sure the teacher must be", min: 0, max: 0.99, step: 0.01, start: 0.75 }];
    if (teachers.length > 1) {
      controls.push({ name: "whose answers", options: teachers.map(([name]) => name), start: 0 });
    }
    return {
      title: "Set the threshold yourself",
      width: 320,
      height: 262,
      controls,
      show(drawing, threshold, which = 0) {
        const place = Math.round(threshold * 100);
        const [kept, right] = [teachers[which][1].kept[place], teachers[which][1].right[place]];
        data.classes.forEach((name, k) => {
          const [x, y, width, height] = [80, 24 * k, 138, 14];
          const scale = width / longest;
          draw(drawing, "text", { x: x - 6, y: y + 12, "text-anchor": "end" }, name);
          draw(drawing, "rect", { x, y, width: kept[k] * scale, height, class: "wrong" });
          draw(drawing, "rect", { x, y, width: right[k] * scale, height, class: "bar" });
          const share = kept[k] ? `, ${Math.round((100 * right[k]) / kept[k])}%` : "";
          const count = kept[k].toLocaleString("en") + share;
          draw(drawing, "text", { x: 318, y: y + 12, "text-anchor": "end" }, count);
        });
        [["bar", "right"], ["wrong", "wrong"]].forEach(([kind, name], k) => {
          draw(drawing, "rect", { x: 80 + 90 * k, y: 246, width: 14, height: 14, class: kind });
          draw(drawing, "text", { x: 100 + 90 * k, y: 258 }, name);
        });
        draw(drawing, "text", { x: 318, y: 258, "text-anchor": "end" }, "kept, right");
        const [all, good] = [add(kept), add(right)];
        const start = `Threshold ${threshold.toFixed(2)}: of ${data.images.toLocaleString("en")} labels`;
        if (!all) return `${start} none are kept.`;
        const rarest = Math.min(...kept);
        const copies = rarest
          ? `Balancing repeats the rarest class ${(Math.max(...kept) / rarest).toFixed(1)} times.`
          : `No labels are left for ${data.classes.filter((_, k) => !kept[k]).join(", ")}.`;
        return `${start} ${all.toLocaleString("en")} are kept, and ${writeShare(good / all)} of these are right. ${copies}`;
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, noisy_student: makeWidget };
})();

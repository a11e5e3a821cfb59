// Which of the recorded recipes to train in the minutes that one has.
(function () {
  "use strict";

  function makeWidget({ recipes, processor }, { draw, writeShare }) {
    const longest = Math.ceil(Math.max(...recipes.map(({ minutes }) => minutes))) + 2;
    const scores = recipes.map(({ accuracy }) => accuracy);
    const [low, high] = [Math.floor(100 * Math.min(...scores)) / 100, Math.ceil(100 * Math.max(...scores)) / 100];
    return {
      title: "I have ... minutes",
      width: 320,
      height: 190,
      controls: [{ name: "minutes", min: 1, max: longest, step: 1, start: Math.round(longest / 2) }],
      show(drawing, minutes) {
        const [left, bottom, wide, tall] = [50, 150, 255, 130];
        const placeX = (value) => left + (wide * value) / longest;
        const placeY = (value) => bottom - (tall * (value - low)) / (high - low || 1);
        const within = recipes.filter((recipe) => recipe.minutes <= minutes);
        const best = within.sort((one, other) => other.accuracy - one.accuracy)[0];
        draw(drawing, "path", { d: `M${left} ${bottom - tall}V${bottom}H${left + wide}`, class: "axis" });
        [0, longest].forEach((x) =>
          draw(drawing, "text", { x: placeX(x), y: bottom + 16, "text-anchor": "middle" }, x),
        );
        [low, high].forEach((y) =>
          draw(drawing, "text", { x: left - 6, y: placeY(y) + 4, "text-anchor": "end" }, `${Math.round(100 * y)}%`),
        );
        draw(drawing, "text", { x: left + wide / 2, y: bottom + 32, "text-anchor": "middle" }, "minutes of training");
        draw(drawing, "text", { x: left + 6, y: 14 }, "test images right");
        draw(drawing, "path", { d: `M${placeX(minutes)} ${bottom}v${-tall}`, class: "target" });
        recipes.forEach((recipe) => {
          const [cx, cy] = [placeX(recipe.minutes), placeY(recipe.accuracy)];
          draw(drawing, "circle", { cx, cy, r: recipe === best ? 8 : 4, class: "end" });
          const late = cx > left + wide / 2;
          const side = { x: cx + (late ? -12 : 12), y: cy - 4, "text-anchor": late ? "end" : "start" };
          draw(drawing, "text", side, recipe.name);
        });
        const start = `${minutes} ${minutes > 1 ? "minutes" : "minute"} on ${processor}: `;
        if (!best) return `${start}no recorded recipe is as short.`;
        return (
          `${start}train "${best.name}". It takes about ${Math.round(best.minutes)} minutes and gets ` +
          `${writeShare(best.accuracy)} of the test images right (${best.runs > 1 ? `mean of ${best.runs} runs` : "one run"}).`
        );
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, cifar10_fast: makeWidget };
})();

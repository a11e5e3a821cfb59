// What a network trained without mixup and one trained with it answer to a mix of two
// garments. Both run here, with the weights of recorded runs.
(function () {
  "use strict";

  const { average, convolve, pool, softmax, weigh } = window.bookLayers;
  const relu = (sum) => Math.max(sum, 0);

  // The network of the chapter: two convolutions, two pools, two dense layers.
  function answer(weights, pixels) {
    let image = convolve(pixels, 28, weights[0], weights[1], 5).map(relu);
    image = pool(image, 24, 16, 2);
    image = convolve(image, 12, weights[2], weights[3], 5).map(relu);
    image = pool(image, 8, 32, 2);
    const hidden = weigh(average(image, 32), weights[4], weights[5]);
    return softmax(weigh(hidden.map(relu), weights[6], weights[7]));
  }

  function makeWidget(data, { draw, drawChart, drawImage, drawShare, findRival, unpack, writeShare }) {
    const images = data.images.map((text) => unpack(text, Uint8Array));
    const networks = Object.entries(data.networks).map(([name, { weights, distances }]) => ({
      name,
      weights: weights.map((text) => unpack(text, Float32Array)),
      distances,
    }));
    const choice = (name, start) => ({ name, options: data.classes, start });
    const last = data.lambdas.length - 1;
    const top = Math.max(...networks.flatMap(({ distances }) => distances));

    return {
      title: "Mix two garments and ask both networks",
      width: 320,
      height: 532,
      controls: [
        { name: "λ, the share of the first", min: 0, max: 1, step: 1 / last, start: 0.6 },
        choice("first", 1),
        choice("second", 8),
      ],
      show(drawing, weight, first, second) {
        const mixed = Float64Array.from(images[first], (pixel, k) => weight * pixel + (1 - weight) * images[second][k]);
        const shares = [
          [data.classes[first], images[first]],
          ["mix", mixed],
          [data.classes[second], images[second]],
        ];
        shares.forEach(([name, pixels], k) => {
          drawImage(drawing, pixels, { x: 115 * k, y: 0, size: 90 });
          draw(drawing, "text", { x: 115 * k + 45, y: 106, "text-anchor": "middle" }, name);
        });
        const scaled = mixed.map((pixel) => pixel / 255);
        const same = first === second;
        const said = networks.map(({ name, weights }, which) => {
          const row = answer(weights, scaled);
          const rows = [{ name: data.classes[first], share: row[first], target: same ? 1 : weight }];
          if (!same) rows.push({ name: data.classes[second], share: row[second], target: 1 - weight });
          const other = findRival(row, first, second);
          rows.push({ name: data.classes[other], share: row[other], kind: "wrong" });
          draw(drawing, "text", { x: 0, y: 136 + 108 * which, class: "heading" }, `${name} answers`);
          rows.forEach((each, k) => drawShare(drawing, each.share, { ...each, y: 146 + 108 * which + 24 * k }));
          return `${name} ${writeShare(row[first])}`;
        });
        drawChart(drawing, {
          title: `Mean distance from λ, points, over ${data.pairs.toLocaleString("en")} pairs`,
          y: 360,
          lines: Object.fromEntries(networks.map(({ name, distances }) => [name, distances])),
          ticks: [0, 0.5, 1],
          xlabel: `λ = ${weight.toFixed(2)}`,
          at: weight,
          top,
        });
        const place = Math.round(weight * last);
        const measured = networks.map(({ name, distances }) => `${name} ${(100 * distances[place]).toFixed(1)}`);
        return (
          `λ = ${weight.toFixed(2)}. Probability of ${data.classes[first]}: ${said.join(", ")}. ` +
          `Mean distance from λ over the test images, in points: ${measured.join(", ")}.`
        );
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, mixup_fashion_mnist: makeWidget };
})();

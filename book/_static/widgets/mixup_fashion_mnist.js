// What a network trained without mixup and one trained with it answer to a mix of two
// garments. Both run here, on the weights of recorded runs.
(function () {
  "use strict";

  // An image is a flat array, row by row, with the channels of a pixel side by side. A
  // kernel is as Keras keeps it: row, column, input channel, filter.
  function convolve(image, side, kernel, bias, size) {
    const filters = bias.length;
    const channels = kernel.length / (size * size * filters);
    const wide = side - size + 1;
    const found = new Float64Array(wide * wide * filters);
    for (let place = 0; place < wide * wide; place += 1) {
      const corner = Math.floor(place / wide) * side + (place % wide);
      const sums = found.subarray(place * filters, (place + 1) * filters);
      sums.set(bias);
      for (let k = 0; k < size * size * channels; k += 1) {
        const row = Math.floor(k / (size * channels));
        const value = image[(corner + row * side) * channels + (k % (size * channels))];
        for (let f = 0; value && f < filters; f += 1) sums[f] += value * kernel[k * filters + f];
      }
    }
    return found.map((sum) => Math.max(sum, 0));
  }

  // The largest of every square of two by two.
  function pool(image, side, channels) {
    const half = side / 2;
    return Float64Array.from({ length: half * half * channels }, (_, k) => {
      const [place, channel] = [Math.floor(k / channels), k % channels];
      const corner = 2 * (Math.floor(place / half) * side + (place % half));
      return Math.max(...[0, 1, side, side + 1].map((step) => image[(corner + step) * channels + channel]));
    });
  }

  function average(image, channels) {
    const means = new Float64Array(channels);
    image.forEach((value, k) => (means[k % channels] += (value * channels) / image.length));
    return means;
  }

  function weigh(inputs, kernel, bias) {
    return Float64Array.from(bias, (start, k) =>
      inputs.reduce((sum, value, row) => sum + value * kernel[row * bias.length + k], start),
    );
  }

  function softmax(logits) {
    const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const sum = powers.reduce((total, power) => total + power);
    return powers.map((power) => power / sum);
  }

  // The network of the chapter: two convolutions, two pools, two dense layers.
  function answer(weights, pixels) {
    let image = convolve(pixels, 28, weights[0], weights[1], 5);
    image = pool(image, 24, 16);
    image = convolve(image, 12, weights[2], weights[3], 5);
    image = pool(image, 8, 32);
    const hidden = weigh(average(image, 32), weights[4], weights[5]);
    return softmax(weigh(hidden.map((sum) => Math.max(sum, 0)), weights[6], weights[7]));
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
          title: `Distance from λ, points: mean over ${data.pairs.toLocaleString("en")} pairs`,
          y: 360,
          lines: Object.fromEntries(networks.map(({ name, distances }) => [name, distances])),
          ticks: [0, 0.5, 1],
          xlabel: "λ",
          at: weight,
          top,
        });
        const place = Math.round(weight * last);
        const measured = networks.map(({ name, distances }) => `${name} ${(100 * distances[place]).toFixed(1)}`);
        return (
          `λ = ${weight.toFixed(2)}. Probability of ${data.classes[first]}: ${said.join(", ")}. ` +
          `Over the test images the distance from λ is, in points: ${measured.join(", ")}.`
        );
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, mixup_fashion_mnist: makeWidget };
  // For a test that holds it to Keras.
  makeWidget.answer = answer;
})();

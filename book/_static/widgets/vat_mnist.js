// How answers of a plain network and of one trained with VAT change along two directions.
(function () {
  "use strict";

  function makeWidget(data, { draw, drawChart, drawImage, drawShare, findRival, unpack, writeShare }) {
    const { lengths, directions } = data;
    const last = lengths.length - 1;
    const images = data.images.map((text) => unpack(text, Uint8Array));
    const networks = Object.entries(data.networks).map(([name, ways]) => ({
      name,
      ways: directions.map((way) => ({
        // In parts of the largest pixel, for every image.
        steps: unpack(ways[way].steps, Int8Array),
        largest: ways[way].largest,
        // Of 65,535: for every length, image and class.
        answers: unpack(ways[way].answers, Uint16Array),
        accuracies: ways[way].accuracies,
      })),
    }));

    function findRow(answers, place, digit) {
      const start = 10 * (place * images.length + digit);
      return [...answers.subarray(start, start + 10)].map((part) => part / 65535);
    }

    return {
      title: "Move a digit along two directions",
      width: 320,
      height: 486,
      controls: [
        { name: "length ε", min: 0, max: lengths[last], step: lengths[1], start: lengths[Math.round(last / 2)] },
        { name: "direction", options: directions, start: 0 },
        { name: "digit", options: images.map((_, k) => k), start: 3 },
      ],
      show(drawing, length, which, digit) {
        const place = Math.round(length / lengths[1]);
        const said = networks.map(({ name, ways }, k) => {
          const { steps, largest, answers } = ways[which];
          const row = findRow(answers, place, digit);
          const factor = (length * 255 * largest) / 127;
          const start = digit * images[digit].length;
          // Values below 0 or above 1 are shown as black or white.
          const moved = Uint8ClampedArray.from(images[digit], (value, pixel) => value + factor * steps[start + pixel]);
          const rival = findRival(row, digit);
          draw(drawing, "text", { x: 0, y: 14 + 150 * k, class: "heading" }, `What the ${name} sees and answers`);
          drawImage(drawing, moved, { x: 0, y: 24 + 150 * k, size: 112 });
          drawShare(drawing, row[digit], { name: digit, y: 50 + 150 * k, x: 142, width: 126 });
          drawShare(drawing, row[rival], { name: rival, y: 80 + 150 * k, x: 142, width: 126, kind: "wrong" });
          return `${name} ${writeShare(row[digit])}`;
        });
        const measured = networks.map(({ name, ways }) => [name, ways[which].accuracies]);
        drawChart(drawing, {
          title: `Right answers, % of ${data.measured.toLocaleString("en")} test images`,
          y: 318,
          lines: Object.fromEntries(measured),
          ticks: [0, lengths[last] / 2, lengths[last]],
          xlabel: `length ε = ${length.toFixed(2)}`,
          at: length / lengths[last],
          top: 1,
        });
        const right = measured.map(([name, accuracies]) => `${name} ${writeShare(accuracies[place])}`);
        return (
          `Length ${length.toFixed(2)}, ${directions[which]}. Probability of ${digit}: ` +
          `${said.join(", ")}. Test images right: ${right.join(", ")}.`
        );
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, vat_mnist: makeWidget };
})();

(() => {
  const figures = JSON.parse(document.getElementById("plots").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const draw = () => {
    const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
    for (const [id, figure] of Object.entries(figures)) {
      const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), automargin: true, separatethousands: true, exponentformat: "power", minexponent: 8 };
      const layout = {
        ...figure.layout,
        xaxis: { ...axis, ...figure.layout.xaxis },
        yaxis: { ...axis, ...figure.layout.yaxis },
        font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        colorway: [colour("accent"), colour("warm"), "#3a9d74", "#9a5cc6", "#c2477f", "#7a8a2e"],
        legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("line"), activecolor: colour("accent") },
        margin: { l: 50, r: 10, t: 34, b: 45 },
      };
      Plotly.react(id, figure.data, layout, { responsive: true, displaylogo: false });
    }
  };
  dark.addEventListener("change", draw);
  draw();
})();

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const page = (name) => fileURLToPath(new URL(name, import.meta.url));

export default defineConfig({
  base: "/",
  server: {
    // For `npm run dev`: the API of a server, or of the mock, running beside it.
    proxy: { "/v1": process.env.ANAMNESIS_URL ?? "http://127.0.0.1:8080" },
  },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // A data: URL would be refused by `default-src 'self'`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: [page("index.html"), page("operations.html")] },
  },
  test: {
    include: ["src/**/*.test.ts"],
    // Without it a stylesheet read by a test comes out empty.
    css: true,
    environment: "node",
  },
});

# brownian serve with a mounted model: docker run -p 8080:8080 -v ./models:/models:ro -e BROWNIAN_API_KEY=... IMAGE -m /models/model.gguf
FROM node:22-bookworm AS build
WORKDIR /src
COPY . .
RUN npm run setup && npm prune --omit=dev && npm install --no-save --omit=dev node-llama-cpp@3.22.1

FROM node:22-bookworm-slim
ENV NODE_ENV=production BROWNIAN_SCRATCH=/scratch BROWNIAN_CACHE=/scratch/cache
WORKDIR /app
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/dist dist
COPY --from=build /src/build/Release/*.node build/Release/
COPY --from=build /src/models models
RUN mkdir -p /scratch && chown node:node /scratch
USER 1000:1000
VOLUME /scratch
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/esm/cli.js", "serve", "--host", "0.0.0.0", "--port", "8080"]
CMD []

# Installs run no scripts: those prepare the embedded PostgreSQL and a second Node, and a container needs neither.
# They are not `npm ci`, which wants every platform's optional packages in the lock file.

FROM node:24-bookworm-slim AS build
WORKDIR /app
# What is to be installed comes first, so that a change of the sources alone installs nothing again.
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
COPY web/package.json web/
RUN npm install --no-save --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run prepare

FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The server alone, without client and page, and without optional and peer packages: the embedded PostgreSQL, Prisma's
# command line.
RUN npm install --no-save --ignore-scripts --no-audit --no-fund \
    --omit=dev --omit=optional --omit=peer --workspaces=false

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/prisma/migrations prisma/migrations
COPY --from=build /app/src src
COPY --from=build /app/web/dist web/dist
USER node
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 4000) + '/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Needs DATABASE_URL, and JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL.
# The flag is that of `npm start`.
CMD ["node", "--max-semi-space-size=32", "src/main.ts", "start"]

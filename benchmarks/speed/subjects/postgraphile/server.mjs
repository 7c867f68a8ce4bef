// In charge of PostGraphile as a server: the amber preset and the usual filter plugin over the database of BENCH_LEFT,
// with nothing on that costs time (no GraphiQL, no watching, no explanations, no subscriptions).
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";

const [port] = process.argv.slice(2);
const connections = Number(process.env.BENCH_POOL);
const instance = postgraphile({
  extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
  pgServices: [
    makePgService({
      connectionString: process.env.BENCH_LEFT,
      schemas: ["population", "traffic"],
      poolConfig: { min: connections, max: connections },
    }),
  ],
  grafast: { explain: false },
  grafserv: { graphqlPath: "/graphql", graphiql: false, watch: false, websockets: false, outputDataAsString: true },
});
const server = createServer();
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
await instance.getSchema();
await instance.createServ(grafserv).addTo(server);
server.listen(Number(port), "127.0.0.1");

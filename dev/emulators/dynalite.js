// dynalite on a free port, with the one call of ours that it lacks: TransactWriteItems, conditional puts into one table.
// Run where dynalite is installed; prints its port. It has a table of actions that cannot be added to, so the new one
// takes the place of BatchWriteItem, which we do not use.
const from = require("module").createRequire(process.cwd() + "/");
const async = from("async");
const db = from("dynalite/db");
const put = from("dynalite/validations/putItem");

Object.assign(from("dynalite/validations/batchWriteItem"), {
  types: {
    TransactItems: { type: "List", children: { type: "ValueStruct<Item>", children: { Put: { type: "ValueStruct<Put>", children: put.types } } } },
  },
  custom: (data, store) => data.TransactItems.map((item) => put.custom(item.Put, store)).find(Boolean),
});

from("dynalite/actions/batchWriteItem");
require.cache[from.resolve("dynalite/actions/batchWriteItem")].exports = function transactWriteItems(store, data, done) {
  const puts = data.TransactItems.map((item) => item.Put);
  store.getTable(puts[0].TableName, (error, table) => {
    if (error) return done(error);
    const invalid = puts.map((one) => db.validateItem(one.Item, table)).find(Boolean);
    if (invalid) return done(invalid);
    const items = store.getItemDb(table.TableName);
    const keys = puts.map((one) => db.createKey(one.Item, table));
    items.lock(keys, (release) => {
      const end = release(done);
      async.map(keys, (key, next) => items.get(key, (_missing, found) => next(null, found)), (_none, found) => {
        const failed = puts.map((one, n) => Boolean(db.checkConditional(one, found[n])));
        if (failed.includes(true)) return end(cancelled(failed));
        const write = (n, next) => {
          db.updateIndexes(store, table, found[n], puts[n].Item, (error) => (error ? next(error) : items.put(keys[n], puts[n].Item, next)));
        };
        async.each([...puts.keys()], write, (error) => end(error, {}));
      });
    });
  });
};

function cancelled(failed) {
  const reasons = failed.map((one) => ({ Code: one ? "ConditionalCheckFailed" : "None" }));
  const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${reasons.map((one) => one.Code).join(", ")}]`;
  const type = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
  return Object.assign(new Error(message), { statusCode: 400, body: { __type: type, Message: message, CancellationReasons: reasons } });
}

const server = from("dynalite")({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
server.prependListener("request", (request) => {
  const target = request.headers["x-amz-target"] || "";
  request.headers["x-amz-target"] = target.replace(/\.TransactWriteItems$/, ".BatchWriteItem");
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.on("uncaughtException", (error) => {
  if (error.code === "ECONNRESET") return; // a client that was killed while it sent
  console.error(error);
  process.exit(1);
});

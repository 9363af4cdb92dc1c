// A JSON list of definitions on standard input -> a JSON list of what is wrong with each: a list of sentences, empty where nothing is.
const validate = require("asl-validator");

const definitions = JSON.parse(require("fs").readFileSync(0, "utf8"));
const found = definitions.map((definition) => {
  const { isValid, errorsText } = validate(definition, { checkPaths: true, checkArn: true });
  return isValid ? [] : errorsText("\n").split("\n");
});
process.stdout.write(JSON.stringify(found));

"""Makes an IAM user that may do everything; prints its key pair. Argument: the endpoint.

Root's requests need a credential, but nobody checks their signature."""
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
CREDENTIAL = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0"
)


def call(action, **parameters):
    body = urllib.parse.urlencode({"Action": action, "Version": "2010-05-08", "UserName": "pail", **parameters})
    request = urllib.request.Request(sys.argv[1] + "/", body.encode(), {"Authorization": CREDENTIAL})
    return xml.fromstring(urllib.request.urlopen(request, timeout=10).read())


call("CreateUser")
call("PutUserPolicy", PolicyName="all", PolicyDocument=POLICY)
key = {element.tag.rpartition("}")[2]: element.text for element in call("CreateAccessKey").iter()}
print(key["AccessKeyId"], key["SecretAccessKey"])

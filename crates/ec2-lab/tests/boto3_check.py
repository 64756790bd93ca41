"""Exercises every action of the lab through boto3: `boto3_check.py ENDPOINT`.

boto3 was written by people who know EC2 and not the lab: what it can parse, page through
and wait for is a fair EC2.
"""

import base64
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCWAIEmwYRU8C0KUyNnC61k3XvgVNwL5Re2EW5CxFsQoFR4iHVq"
    "Z+gkvFiIqFlZNvUUpxaPQH65lXhGy9YGs686BS1mRdk5F2cErxP8nH1qLbwZYdswjpM3yQfiO+dGYMkzk9RKVhBj"
    "RUsM/qdVMqlBsj8hP9AZEx4c55ODdDjXn4AvIX3nVvI52ONi/+3HELtEMxwSpVWj9J6XlzTnbF62HhMilj5DBond"
    "Pz7uM3cUD9rXa5N7yO3/DPsg1QhmiCetgkAK4iDdArmyWDehLUHucTlWH46i2FBvvGli+76Zb/VMUHt7fo882eW8"
    "Nqnf7nAOUGH/2rEV7B+LJYAwhDbf tester"
)
ED25519 = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8xnX7EJvLzLIPKAYF0n6NOGSqk3VTueySZrcvgffNQ tester"
)


def client(service="ec2", key="AKIDEXAMPLE", region="us-east-1"):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key="SECRETEXAMPLE",
        config=Config(retries={"max_attempts": 1}),
    )


def refused(code, status, call, **kwargs):
    """The call must fail with this code and HTTP status."""
    try:
        call(**kwargs)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def tags(resource):
    return {t["Key"]: t["Value"] for t in resource.get("Tags", [])}


ec2 = client()
FAST = {"Delay": 0, "MaxAttempts": 40}


def accounts_and_credentials():
    me = client("sts").get_caller_identity()
    assert me["Account"] == "123456789012" and me["Arn"].startswith("arn:aws:iam::"), me
    assert client("sts", "AKIDOTHER").get_caller_identity()["Account"] == "210987654321"
    refused("InvalidClientTokenId", 403, client("sts", "AKIDNOBODY").get_caller_identity)
    refused("AuthFailure", 401, client(key="AKIDNOBODY").describe_vpcs)
    refused("AuthFailure", 401, client(region="xx-nowhere-9").describe_vpcs)
    regions = {r["RegionName"] for r in ec2.describe_regions()["Regions"]}
    assert {"us-east-1", "ap-northeast-1", "cn-north-1"} <= regions
    one = ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"]
    assert [r["RegionName"] for r in one] == ["eu-west-1"]


def vpcs_and_subnets():
    attributes = ec2.describe_account_attributes(AttributeNames=["default-vpc"])
    values = attributes["AccountAttributes"][0]["AttributeValues"]
    vpc = values[0]["AttributeValue"]
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert [v["VpcId"] for v in vpcs] == [vpc] and vpcs[0]["IsDefault"]
    zones = [z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"]]
    assert zones[:2] == ["us-east-1a", "us-east-1b"], zones
    subnets = ec2.describe_subnets(
        Filters=[
            {"Name": "availability-zone", "Values": ["us-east-1b"]},
            {"Name": "vpc-id", "Values": [vpc]},
        ]
    )["Subnets"]
    assert len(subnets) == 1 and subnets[0]["DefaultForAz"] and subnets[0]["VpcId"] == vpc
    assert ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": ["vpc-0"]}])["Subnets"] == []
    pages = ec2.get_paginator("describe_subnets").paginate(PaginationConfig={"PageSize": 5})
    assert [len(p["Subnets"]) for p in pages] == [5, len(zones) - 5]
    refused("InvalidSubnetID.NotFound", 400, ec2.describe_subnets, SubnetIds=["subnet-00000000"])
    refused("InvalidVpcID.Malformed", 400, ec2.describe_vpcs, VpcIds=["nonsense"])
    refused(
        "InvalidParameterValue", 400, ec2.describe_vpcs, Filters=[{"Name": "no", "Values": ["x"]}]
    )
    return vpc, subnets[0]["SubnetId"]


def security_groups(vpc):
    make = dict(GroupName="docker-machine", Description="Docker Machine", VpcId=vpc)
    tag = {"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}
    group = ec2.create_security_group(TagSpecifications=[tag], **make)["GroupId"]
    refused("InvalidGroup.Duplicate", 400, ec2.create_security_group, **make)
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group], WaiterConfig=FAST)
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    docker = dict(rule, FromPort=2376, ToPort=2376, Ipv6Ranges=[{"CidrIpv6": "::/0"}])
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule, docker])
    assert made["Return"] and len(made["SecurityGroupRules"]) == 3
    refused(
        "InvalidPermission.Duplicate",
        400,
        ec2.authorize_security_group_ingress,
        GroupId=group,
        IpPermissions=[rule],
    )
    found = ec2.describe_security_groups(
        Filters=[
            {"Name": "group-name", "Values": ["docker-machine"]},
            {"Name": "vpc-id", "Values": [vpc]},
        ]
    )["SecurityGroups"]
    assert [g["GroupId"] for g in found] == [group] and tags(found[0]) == {"a": "b"}
    ports = {p["FromPort"]: p for p in found[0]["IpPermissions"]}
    assert ports[2376]["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    assert ports[22]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    refused("InvalidGroup.NotFound", 400, ec2.describe_security_groups, GroupIds=["sg-00000000"])
    spare = ec2.create_security_group(GroupName="spare", Description="x")["GroupId"]
    ec2.delete_security_group(GroupId=spare)
    return group


def key_pairs():
    tag = {"ResourceType": "key-pair", "Tags": [{"Key": "owner", "Value": "us"}]}
    ec2.import_key_pair(KeyName="m1", PublicKeyMaterial=ED25519, TagSpecifications=[tag])
    refused(
        "InvalidKeyPair.Duplicate",
        400,
        ec2.import_key_pair,
        KeyName="m1",
        PublicKeyMaterial=ED25519,
    )
    refused("InvalidKey.Format", 400, ec2.import_key_pair, KeyName="m2", PublicKeyMaterial="x")
    pair = ec2.describe_key_pairs(KeyNames=["m1"], IncludePublicKey=True)["KeyPairs"][0]
    assert pair["KeyType"] == "ed25519" and tags(pair) == {"owner": "us"}
    assert pair["PublicKey"].startswith("ssh-ed25519 ")
    assert pair["KeyFingerprint"] == fingerprint(ED25519), pair
    rsa = ec2.import_key_pair(KeyName="old", PublicKeyMaterial=RSA)
    # From `ssh-keygen -e -m PKCS8 | openssl pkey -pubin -outform DER | md5sum`.
    assert rsa["KeyFingerprint"] == "0c:31:9c:df:55:82:f4:fd:1c:eb:98:0d:2b:13:37:ce", rsa
    ec2.get_waiter("key_pair_exists").wait(KeyNames=["m1"], WaiterConfig=FAST)
    made = ec2.create_key_pair(KeyName="made", KeyType="ed25519")
    assert "PRIVATE KEY" in made["KeyMaterial"]
    by_tag = ec2.describe_key_pairs(Filters=[{"Name": "tag:owner", "Values": ["u*"]}])["KeyPairs"]
    assert [k["KeyName"] for k in by_tag] == ["m1"]
    ec2.delete_key_pair(KeyName="old")
    ec2.delete_key_pair(KeyPairId=made["KeyPairId"])
    ec2.delete_key_pair(KeyName="never-was")
    refused("InvalidKeyPair.NotFound", 400, ec2.describe_key_pairs, KeyNames=["old"])


def fingerprint(key):
    import hashlib

    return base64.b64encode(hashlib.sha256(base64.b64decode(key.split()[1])).digest()).decode()


def images_and_types():
    found = ec2.describe_images(
        Owners=["099720109477"],
        Filters=[
            {"Name": "name", "Values": ["ubuntu/images/hvm-ssd*/ubuntu-noble-24.04-*-server-*"]},
            {"Name": "architecture", "Values": ["x86_64"]},
            {"Name": "state", "Values": ["available"]},
        ],
    )["Images"]
    newest = max(found, key=lambda i: i["CreationDate"])
    assert newest["Name"].endswith("amd64-server-20260110"), newest
    assert newest["RootDeviceName"] == "/dev/sda1"
    assert newest["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8
    debian = ec2.describe_images(Owners=["136693071363"])["Images"]
    assert {i["Architecture"] for i in debian} == {"x86_64", "arm64"}
    china = client(region="cn-north-1").describe_images(Owners=["837727238323"])["Images"]
    assert china
    refused("InvalidAMIID.NotFound", 400, ec2.describe_images, ImageIds=["ami-00000000"])
    refused("InvalidAMIID.Malformed", 400, ec2.describe_images, ImageIds=["ami-doesnotexist"])
    kinds = ec2.describe_instance_types(InstanceTypes=["t3.medium", "t4g.small"])["InstanceTypes"]
    archs = {k["InstanceType"]: k["ProcessorInfo"]["SupportedArchitectures"] for k in kinds}
    assert archs == {"t3.medium": ["x86_64"], "t4g.small": ["arm64"]}, archs
    refused("InvalidInstanceType", 400, ec2.describe_instance_types, InstanceTypes=["t3.mega"])
    pages = ec2.get_paginator("describe_instance_types").paginate()
    assert sum(len(p["InstanceTypes"]) for p in pages) > 100
    return newest["ImageId"]


def launch_request(image, subnet, group):
    tagged = [
        {"ResourceType": kind, "Tags": [{"Key": "Name", "Value": "m1"}]}
        for kind in ("instance", "volume", "network-interface")
    ]
    return dict(
        ImageId=image,
        InstanceType="t3.medium",
        KeyName="m1",
        MinCount=1,
        MaxCount=1,
        ClientToken="token-1",
        Placement={"AvailabilityZone": "us-east-1b"},
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "Groups": [group],
                "AssociatePublicIpAddress": True,
                "Ipv6AddressCount": 1,
                "PrimaryIpv6": True,
            }
        ],
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {
                    "VolumeSize": 16,
                    "VolumeType": "gp2",
                    "DeleteOnTermination": True,
                    "Encrypted": True,
                    "KmsKeyId": "alias/k",
                },
            }
        ],
        IamInstanceProfile={"Name": "prof"},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        Monitoring={"Enabled": True},
        EbsOptimized=True,
        UserData="#!/bin/sh\n",
        TagSpecifications=tagged,
    )


def launches(image, subnet, group):
    request = launch_request(image, subnet, group)
    refused("DryRunOperation", 412, ec2.run_instances, DryRun=True, **request)
    for change, code in [
        ({"ImageId": "ami-00000000"}, "InvalidAMIID.NotFound"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"InstanceType": "t3.mega"}, "InvalidParameterValue"),
        ({"InstanceType": "t4g.small"}, "InvalidParameterValue"),
        ({"SubnetId": subnet}, "InvalidParameterCombination"),
        ({"Placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue"),
        ({"UserData": "x" * 16385}, "InvalidParameterValue"),
    ]:
        refused(code, 400, ec2.run_instances, **dict(request, **change))
    run = ec2.run_instances(**request)
    made = run["Instances"][0]
    instance = made["InstanceId"]
    assert made["State"]["Name"] == "pending" and tags(made) == {"Name": "m1"}
    again = ec2.run_instances(**request)
    assert again["ReservationId"] == run["ReservationId"]
    refused(
        "IdempotentParameterMismatch", 400, ec2.run_instances, **dict(request, InstanceType="t3.large")
    )
    ec2.get_waiter("instance_exists").wait(InstanceIds=[instance], WaiterConfig=FAST)
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=FAST)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[instance], WaiterConfig=FAST)
    seen = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert seen["PublicIpAddress"].startswith("203.0.113.") and seen["PrivateIpAddress"]
    assert seen["Ipv6Address"].startswith("2001:db8:") and seen["Placement"][
        "AvailabilityZone"
    ] == "us-east-1b"
    assert seen["KeyName"] == "m1" and seen["ClientToken"] == "token-1"
    assert seen["IamInstanceProfile"]["Arn"].endswith(":instance-profile/prof")
    assert seen["MetadataOptions"]["HttpTokens"] == "required" and seen["EbsOptimized"]
    assert seen["Monitoring"]["State"] == "enabled"
    assert [g["GroupId"] for g in seen["SecurityGroups"]] == [group]
    interface = seen["NetworkInterfaces"][0]
    assert interface["Ipv6Addresses"][0]["IsPrimaryIpv6"]
    assert interface["Association"]["PublicIp"] == seen["PublicIpAddress"]
    volumes = ec2.describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance]}]
    )["Volumes"]
    assert len(volumes) == 1 and volumes[0]["Size"] == 16 and volumes[0]["Encrypted"]
    assert tags(volumes[0]) == {"Name": "m1"}
    nics = ec2.describe_network_interfaces(
        NetworkInterfaceIds=[interface["NetworkInterfaceId"]]
    )["NetworkInterfaces"]
    assert tags({"Tags": nics[0]["TagSet"]}) == {"Name": "m1"}
    for name, value in [
        ("instance-id", instance),
        ("tag:Name", "m?"),
        ("tag-key", "Name"),
        ("client-token", "token-1"),
        ("instance-state-name", "running"),
        ("key-name", "m1"),
        ("private-ip-address", seen["PrivateIpAddress"]),
        ("network-interface.network-interface-id", interface["NetworkInterfaceId"]),
        ("instance.group-name", "docker-machine"),
    ]:
        found = ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])
        assert len(found["Reservations"]) == 1, name
    return instance


def tagging(instance):
    ec2.create_tags(Resources=[instance], Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(49)])
    refused(
        "TagLimitExceeded", 400, ec2.create_tags, Resources=[instance], Tags=[{"Key": "z", "Value": ""}]
    )
    refused(
        "InvalidParameterValue",
        400,
        ec2.create_tags,
        Resources=[instance],
        Tags=[{"Key": "aws:x", "Value": ""}],
    )
    pages = ec2.get_paginator("describe_tags").paginate(
        Filters=[{"Name": "resource-id", "Values": [instance]}], PaginationConfig={"PageSize": 20}
    )
    assert [len(p["Tags"]) for p in pages] == [20, 20, 10]
    ec2.delete_tags(Resources=[instance], Tags=[{"Key": f"k{n}"} for n in range(49)])
    found = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["instance"]}])["Tags"]
    assert [(t["Key"], t["ResourceId"]) for t in found] == [("Name", instance)]


def power(instance):
    before = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    ec2.reboot_instances(InstanceIds=[instance])
    base64.b64decode(ec2.get_console_output(InstanceId=instance)["Output"])
    refused(
        "IncorrectState",
        400,
        ec2.associate_iam_instance_profile,
        InstanceId=instance,
        IamInstanceProfile={"Name": "other"},
    )
    change = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert change["PreviousState"]["Name"] == "running"
    assert change["CurrentState"]["Name"] == "stopping"
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=FAST)
    stopped = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert "PublicIpAddress" not in stopped
    assert stopped["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    refused("IncorrectInstanceState", 400, ec2.reboot_instances, InstanceIds=[instance])
    ec2.start_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=FAST)
    started = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert started["PublicIpAddress"] != before["PublicIpAddress"]
    assert started["PrivateIpAddress"] == before["PrivateIpAddress"]
    ghost = "i-00000000000000000"
    refused("InvalidInstanceID.NotFound", 400, ec2.describe_instances, InstanceIds=[instance, ghost])
    refused("InvalidInstanceID.Malformed", 400, ec2.stop_instances, InstanceIds=["nonsense"])


def spot(image):
    options = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.50"}}
    kinds = ("instance", "spot-instances-request")
    request = dict(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        InstanceMarketOptions=options,
        TagSpecifications=[
            {"ResourceType": k, "Tags": [{"Key": "s", "Value": "1"}]} for k in kinds
        ],
    )
    cheap = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
    refused(
        "SpotMaxPriceTooLow", 400, ec2.run_instances, **dict(request, InstanceMarketOptions=cheap)
    )
    # The spot request of such a launch stays open.
    still = [{"Name": "state", "Values": ["open"]}]
    still = ec2.describe_spot_instance_requests(Filters=still)["SpotInstanceRequests"]
    ec2.cancel_spot_instance_requests(
        SpotInstanceRequestIds=[one["SpotInstanceRequestId"] for one in still]
    )
    made = ec2.run_instances(**request)["Instances"][0]
    assert made["InstanceLifecycle"] == "spot"
    wish = made["SpotInstanceRequestId"]
    ec2.get_waiter("spot_instance_request_fulfilled").wait(
        SpotInstanceRequestIds=[wish], WaiterConfig=FAST
    )
    found = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[wish])
    found = found["SpotInstanceRequests"][0]
    assert found["InstanceId"] == made["InstanceId"] and tags(found) == {"s": "1"}
    said = refused(
        "UnsupportedOperation", 400, ec2.stop_instances, InstanceIds=[made["InstanceId"]]
    )
    assert "one-time" in said
    cancelled = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[wish])
    assert cancelled["CancelledSpotInstanceRequests"][0]["State"] == "cancelled"
    ec2.associate_iam_instance_profile(
        InstanceId=made["InstanceId"], IamInstanceProfile={"Name": "late"}
    )
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


def fleets(image, subnet):
    data = {
        "ImageId": image,
        "InstanceType": "t3.micro",
        "KeyName": "m1",
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}
        ],
    }
    ec2.create_launch_template(LaunchTemplateName="workers", LaunchTemplateData=data)
    listed = ec2.describe_launch_templates(LaunchTemplateNames=["workers"])["LaunchTemplates"]
    assert listed[0]["LaunchTemplateName"] == "workers"
    request = dict(
        Type="instant",
        ClientToken="fleet-1",
        LaunchTemplateConfigs=[
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "workers", "Version": "$Latest"},
                "Overrides": [
                    {"InstanceType": "t4g.micro", "SubnetId": subnet},
                    {"InstanceType": "t3.large", "SubnetId": subnet},
                ],
            }
        ],
        TargetCapacitySpecification={
            "TotalTargetCapacity": 1,
            "DefaultTargetCapacityType": "on-demand",
        },
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "from-call", "Value": "yes"}]}
        ],
    )
    fleet = ec2.create_fleet(**request)
    assert [e["ErrorCode"] for e in fleet["Errors"]] == ["InvalidParameterValue"], fleet
    ids = fleet["Instances"][0]["InstanceIds"]
    assert fleet["Instances"][0]["InstanceType"] == "t3.large" and len(ids) == 1
    assert ec2.create_fleet(**request)["Instances"][0]["InstanceIds"] == ids
    made = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]
    assert made["SubnetId"] == subnet and made["KeyName"] == "m1"
    given = tags(made)
    assert given["from"] == "template" and given["from-call"] == "yes", given
    assert given["aws:ec2:fleet-id"] == fleet["FleetId"]
    plain = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": "workers"}, MinCount=1, MaxCount=1
    )["Instances"][0]
    assert plain["InstanceType"] == "t3.micro"
    ec2.terminate_instances(InstanceIds=[*ids, plain["InstanceId"]])
    ec2.delete_launch_template(LaunchTemplateName="workers")


def pages(image):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=12, MaxCount=12)
    ids = [i["InstanceId"] for i in made["Instances"]]
    assert len({i["PrivateIpAddress"] for i in made["Instances"]}) == 12
    wanted = [{"Name": "instance-id", "Values": [*ids, "i-00000000000000000"]}]
    seen = []
    for page in ec2.get_paginator("describe_instances").paginate(
        Filters=wanted, PaginationConfig={"PageSize": 5}
    ):
        found = [i["InstanceId"] for r in page["Reservations"] for i in r["Instances"]]
        assert len(found) <= 5
        seen += found
    assert sorted(seen) == sorted(ids)
    refused("InvalidParameterCombination", 400, ec2.describe_instances, InstanceIds=ids, MaxResults=5)
    refused("InvalidParameterValue", 400, ec2.describe_instances, MaxResults=3)
    refused("InvalidNextToken", 400, ec2.describe_instances, MaxResults=5, NextToken="?")
    ec2.terminate_instances(InstanceIds=ids)


def ends(instance, image):
    kept = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20, "DeleteOnTermination": False}}
        ],
    )["Instances"][0]["InstanceId"]
    change = ec2.terminate_instances(InstanceIds=[instance, kept])["TerminatingInstances"]
    assert {c["CurrentState"]["Name"] for c in change} == {"shutting-down"}
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance, kept], WaiterConfig=FAST)
    assert ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"]
    left = ec2.describe_volumes()["Volumes"]
    assert [v["State"] for v in left] == ["available"], left
    ec2.delete_volume(VolumeId=left[0]["VolumeId"])
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    other = client(key="AKIDOTHER")
    assert other.describe_instances()["Reservations"] == []
    refused("InvalidInstanceID.NotFound", 400, other.describe_instances, InstanceIds=[instance])
    elsewhere = client(region="eu-west-1")
    refused("InvalidInstanceID.NotFound", 400, elsewhere.describe_instances, InstanceIds=[instance])
    ec2.delete_key_pair(KeyName="m1")


def main():
    accounts_and_credentials()
    vpc, subnet = vpcs_and_subnets()
    group = security_groups(vpc)
    key_pairs()
    image = images_and_types()
    instance = launches(image, subnet, group)
    tagging(instance)
    power(instance)
    spot(image)
    fleets(image, subnet)
    pages(image)
    ends(instance, image)
    print("boto3 found nothing wrong")


main()
